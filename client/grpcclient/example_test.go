package grpcclient_test

import (
	"context"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"

	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// exampleGateway is a server whose models answer their inputs.
func exampleGateway() (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	pb.RegisterGRPCInferenceServiceServer(s, &gateway{stream: reversed(1)})
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	return l.Addr().String(), func() {
		s.Stop()
		serving.Wait()
	}
}

func ExampleClient_Infer() {
	// A real program has the address of a gateway, such as "gateway:8001".
	address, stop := exampleGateway()
	defer stop()
	c, err := grpcclient.New(grpcclient.Options{Address: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // it only closes the connection
	flower := client.NewTensor("input", []int64{1, 4}, []float32{6.4, 3.2, 4.5, 1.5})
	result, err := c.Infer(context.Background(), "iris", client.InferRequest{Inputs: []client.Tensor{flower}})
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := client.Output[float32](result, "input")
	fmt.Println(values, err)
	fmt.Printf("version %d, route %s (%s)\n", result.Version, result.Route, result.Reason)
	// Output:
	// [6.4 3.2 4.5 1.5] <nil>
	// version 2, route iris@7 (sticky)
}

func ExampleClient_Stream() {
	address, stop := exampleGateway()
	defer stop()
	ctx := context.Background()
	c, err := grpcclient.New(grpcclient.Options{Address: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // it only closes the connection
	stream, err := c.Stream(ctx, grpcclient.StreamOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var tasks sync.WaitGroup
	answers := make([]*client.InferResult, 64)
	for i := range answers { // each waits for its own answer
		tasks.Go(func() {
			row := client.NewTensor("input", []int64{1}, []int32{int32(i)})
			var err error
			if answers[i], err = stream.Infer(ctx, "iris", client.InferRequest{Inputs: []client.Tensor{row}}); err != nil {
				fmt.Println(err)
			}
		})
	}
	tasks.Wait()
	fmt.Println(stream.Close())
	values, err := client.Output[int32](answers[63], "input")
	fmt.Println(values, err)
	// Output:
	// <nil>
	// [63] <nil>
}
