// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func serveGRPC(port string, _ []string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server.Serve(listener)
}

func askGRPC(port string, _ []string) error {
	return askPerLine(func() (func() error, func(), error) {
		plain := grpc.WithTransportCredentials(insecure.NewCredentials())
		connection, err := grpc.NewClient("127.0.0.1:"+port, plain)
		if err != nil {
			return nil, nil, err
		}
		client := grpc_health_v1.NewHealthClient(connection)
		return func() error {
			answer, err := client.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
			if err == nil && answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
				err = fmt.Errorf("status %v", answer.Status)
			}
			return err
		}, func() { _ = connection.Close() }, nil
	})
}
