// SPDX-License-Identifier: Apache-2.0

// Calls crypto/tls.(*Conn).Write, or Read, of a connection that is dead, over and over, and prints
// nanoseconds per call, the best batch of each fifth of a second. Usage: sites_go Write|Read
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const calls = 200

type dead struct{ net.Conn }

func (dead) Read([]byte) (int, error)  { return 0, errors.New("dead") }
func (dead) Write([]byte) (int, error) { return 0, errors.New("dead") }
func (dead) Close() error              { return nil }

func main() {
	conn := tls.Client(dead{}, &tls.Config{InsecureSkipVerify: true})
	call := conn.Write
	if len(os.Args) > 1 && os.Args[1] == "Read" {
		call = conn.Read
	}
	data := make([]byte, 64)
	for {
		best := time.Hour
		for end := time.Now().Add(time.Second / 5); time.Now().Before(end); {
			begin := time.Now()
			for i := 0; i < calls; i++ {
				_, _ = call(data)
			}
			if spent := time.Since(begin); spent < best {
				best = spent
			}
		}
		if _, err := fmt.Printf("%.1f\n", float64(best.Nanoseconds())/calls); err != nil {
			return
		}
	}
}
