package client_test

import (
	"context"
	"errors"
	"fmt"

	"sluice.io/sluice/client"
)

func ExampleClient_Infer() {
	// A real program calls client.New(client.Options{Data: "gateway:8000", …}) instead.
	c := replayed("infer-binary.http")
	flowers := client.NewTensor("input", []int64{2, 4}, []float32{
		6.4, 3.2, 4.5, 1.5,
		5.1, 3.5, 1.4, 0.2,
	})
	result, err := c.Infer(context.Background(), "iris", client.InferRequest{
		Inputs:    []client.Tensor{flowers},
		RequestID: "flowers-1",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	labels, err := client.Output[int64](result, "label")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("labels", labels)
	fmt.Printf("version %d, route %s (%s), request %s\n", result.Version, result.Route, result.Reason, result.RequestID)
	// Output:
	// labels [1 0]
	// version 2, route iris@1 (sticky), request flowers-1
}

func ExampleInferResult_Output() {
	c := replayed("infer-json.http")
	result, err := c.Infer(context.Background(), "iris", client.InferRequest{
		Inputs: []client.Tensor{client.NewTensor("input", []int64{2, 4}, make([]float32, 8))},
		JSON:   true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := result.Output("probabilities")
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := client.Elements[float32](t)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Datatype, t.Shape)
	for row := range t.Shape[0] {
		fmt.Printf("%.3f\n", values[row*t.Shape[1]:][:t.Shape[1]])
	}
	// Output:
	// FP32 [2 3]
	// [0.006 0.987 0.007]
	// [0.991 0.007 0.002]
}

func ExampleError() {
	c := replayed("unknown-version.http")
	_, err := c.ModelMetadata(context.Background(), "iris", 9)
	if e, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(e.Status, e.RequestID)
		fmt.Println(e.Message)
	}
	// Output:
	// 404 flowers-2
	// Request for unknown model: 'iris' version 9 is not found
}

func ExampleNewTensor() {
	t := client.NewTensor("words", []int64{2}, []string{"one", "two"})
	fmt.Println(t.Datatype, len(t.Data))
	_, err := client.Elements[int64](t)
	fmt.Println(err)
	// Output:
	// BYTES 14
	// tensor 'words' has the datatype BYTES, which cannot be read as int64
}
