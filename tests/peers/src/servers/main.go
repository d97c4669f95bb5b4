// SPDX-License-Identifier: Apache-2.0

// Peers in Go: gRPC and QUIC, a server and a client of each. A client makes one request for each line
// of its standard input, and prints a line when the answer was right; it connects at the first.
//
//	peers-go grpc-server|grpc-client PORT
//	peers-go quic-server PORT CERTIFICATE KEY
//	peers-go quic-client PORT
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
)

var commands = map[string]func(port string, arguments []string) error{
	"grpc-server": serveGRPC,
	"grpc-client": askGRPC,
	"quic-server": serveQUIC,
	"quic-client": askQUIC,
}

// Calls ask, which is made at the first line, for each line of the standard input; then end.
func askPerLine(open func() (ask func() error, end func(), err error)) error {
	var ask func() error
	end := func() {}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var err error
		if ask == nil {
			if ask, end, err = open(); err != nil {
				return err
			}
		}
		if err = ask(); err != nil {
			return err
		}
		fmt.Println("ok")
	}
	end()
	return lines.Err()
}

func main() {
	if len(os.Args) < 3 || commands[os.Args[1]] == nil {
		log.Fatal("usage: peers-go COMMAND PORT [ARGUMENT...]")
	}
	if err := commands[os.Args[1]](os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}
