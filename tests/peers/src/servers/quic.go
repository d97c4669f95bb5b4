// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"

	"github.com/quic-go/quic-go"
)

const quicALPN = "echo"

func echo(stream *quic.Stream) {
	_, _ = io.Copy(stream, stream)
	_ = stream.Close()
}

func serveQUIC(port string, arguments []string) error {
	certificate, err := tls.LoadX509KeyPair(arguments[0], arguments[1])
	if err != nil {
		return err
	}
	secrets := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{quicALPN}}
	listener, err := quic.ListenAddr("127.0.0.1:"+port, secrets, nil)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() {
			for {
				stream, err := connection.AcceptStream(context.Background())
				if err != nil {
					return
				}
				go echo(stream)
			}
		}()
	}
}

func askOnce(connection *quic.Conn) error {
	const said = "what is said"
	stream, err := connection.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	if _, err = stream.Write([]byte(said)); err != nil {
		return err
	}
	_ = stream.Close()
	heard, err := io.ReadAll(stream)
	if err == nil && string(heard) != said {
		err = fmt.Errorf("heard %q", heard)
	}
	return err
}

func askQUIC(port string, _ []string) error {
	return askPerLine(func() (func() error, func(), error) {
		// The test's own server on loopback: its certificate is nobody's business.
		secrets := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{quicALPN}}
		connection, err := quic.DialAddr(context.Background(), "127.0.0.1:"+port, secrets, nil)
		if err != nil {
			return nil, nil, err
		}
		end := func() { _ = connection.CloseWithError(0, "") }
		return func() error { return askOnce(connection) }, end, nil
	})
}
