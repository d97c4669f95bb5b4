// SPDX-License-Identifier: Apache-2.0

// A TLS peer over Go's crypto/tls and net/http. See peer.c for how it is used; h2=1 speaks HTTP/2.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

type calls struct {
	Writes, Written, Reads, Read atomic.Int64
}

var (
	counted              calls
	requests, handshakes atomic.Int64
	lock                 sync.Mutex
	last                 tls.ConnectionState
)

// Counts the calls of a tls.Conn. net/http would not know it for one, so with HTTP/2 there is none.
type countingConn struct{ *tls.Conn }

func (c *countingConn) Write(bytes []byte) (int, error) {
	counted.Writes.Add(1) // before: who has the answer finds it counted
	counted.Written.Add(int64(len(bytes)))
	return c.Conn.Write(bytes)
}

func (c *countingConn) Read(bytes []byte) (int, error) {
	n, err := c.Conn.Read(bytes)
	if n > 0 {
		counted.Reads.Add(1)
		counted.Read.Add(int64(n))
	}
	return n, err
}

type countingListener struct{ net.Listener }

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn.(*tls.Conn)}, nil
}

func note(state tls.ConnectionState) error {
	lock.Lock()
	defer lock.Unlock()
	last = state
	handshakes.Add(1)
	return nil
}

func printTruth(role string) {
	lock.Lock()
	defer lock.Unlock()
	version := ""
	if last.Version != 0 {
		version = strings.Replace(tls.VersionName(last.Version), " ", "v", 1)
	}
	cipher := ""
	if last.CipherSuite != 0 {
		cipher = tls.CipherSuiteName(last.CipherSuite)
	}
	end := map[string]any{"pid": os.Getpid(), "role": role, "requests": requests.Load(),
		"handshakes": handshakes.Load(), "wire": nil, "version": version, "cipher": cipher,
		"sni": last.ServerName, "alpn": last.NegotiatedProtocol, "resumed": last.DidResume,
		"tls": map[string]int64{"writes": counted.Writes.Load(), "written": counted.Written.Load(),
			"reads": counted.Reads.Load(), "read": counted.Read.Load()}}
	if options["h2"] == "1" {
		end["tls"] = nil
	}
	line, _ := json.Marshal(map[string]any{"library": runtime.Version(), "ends": []any{end}})
	fmt.Println(string(line))
}

const bodies = 23

// Body NUMBER of a size, as peer.c has it; without a number it is of x alone.
func bodyOf(query string, size int) []byte {
	body := bytes.Repeat([]byte{'x'}, size)
	if query == "" {
		return body
	}
	begin, _ := strconv.Atoi(query)
	for i := range body {
		body[i] = byte('a' + (begin+i)%bodies)
	}
	return body
}

var options = map[string]string{"dir": ".", "sni": "peer.test", "requests": "1", "size": "1000"}

func number(key string) int {
	value, _ := strconv.Atoi(options[key])
	return value
}

func serve() {
	pair, err := tls.LoadX509KeyPair(options["dir"]+"/server.pem", options["dir"]+"/server.key")
	if err != nil {
		log.Fatal(err)
	}
	// One certificate is the plainest way; ALPN as net/http does it.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, VerifyConnection: note}
	if options["h2"] == "1" {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil || size < 0 || size > 8<<20 {
			http.Error(w, "size", http.StatusBadRequest)
			return
		}
		requests.Add(1)
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(bodyOf(r.URL.RawQuery, size))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+options["port"])
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(handler), TLSConfig: config}
	if options["h2"] == "1" {
		go server.ServeTLS(listener, "", "")
	} else {
		go server.Serve(countingListener{tls.NewListener(listener, config)})
	}
}

func newClient() *http.Client {
	pem, err := os.ReadFile(options["dir"] + "/ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots, ServerName: options["sni"], VerifyConnection: note}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: options["reconnect"] == "1"}
	if options["h2"] == "1" {
		transport.ForceAttemptHTTP2 = true
		return &http.Client{Transport: transport}
	}
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countingConn{Conn: conn.(*tls.Conn)}, nil
	}
	return &http.Client{Transport: transport}
}

func batch(client *http.Client, count int) {
	for range make([]struct{}, count) {
		address, query := "https://127.0.0.1:"+options["port"]+"/"+options["size"], ""
		if number("number") != 0 {
			query = strconv.Itoa((number("number") + int(requests.Load())) % bodies)
			address += "?" + query
		}
		response, err := client.Get(address)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 {
			log.Fatal("response: ", response.Status, err)
		}
		if !bytes.Equal(body, bodyOf(query, number("size"))) {
			log.Fatal("another body than was asked for, of ", len(body), " bytes")
		}
		response.Body.Close()
		requests.Add(1)
	}
}

func main() {
	role := os.Args[1]
	for _, argument := range os.Args[2:] {
		key, value, _ := strings.Cut(argument, "=")
		options[key] = value
	}
	var client *http.Client
	if role == "server" {
		serve()
	} else if client = newClient(); options["hold"] == "1" {
		batch(client, 1)
	}
	printTruth(role)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if role == "client" {
			batch(client, number("requests"))
		}
		printTruth(role)
	}
}
