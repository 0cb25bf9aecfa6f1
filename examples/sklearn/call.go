// Asks the gateway where two cars were made.
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"slices"

	"sluice.io/sluice/client"
)

func main() {
	if err := call(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func call(ctx context.Context) error {
	c, err := client.New(client.Options{Data: os.Getenv("SLUICE_DATA")}) // empty is 127.0.0.1:8000
	if err != nil {
		return err
	}
	names := []string{"toyota celica gt", "chevrolet monza 2+2"}
	missing := float32(math.NaN())
	column := []int64{2, 1} // two rows of one value
	result, err := c.Infer(ctx, "sklearn", client.InferRequest{Inputs: []client.Tensor{
		client.NewTensor("name", column, names),
		client.NewTensor("cylinders", column, []string{"4", "8"}),
		client.NewTensor("horsepower", column, []float32{95, missing}),
		client.NewTensor("weight", column, []float32{2515, 3221}),
		client.NewTensor("acceleration", column, []float32{14.8, 13.5}),
	}})
	if err != nil {
		return err
	}
	origins, err := client.Output[string](result, "output_label")
	if err != nil {
		return err
	}
	probabilities, err := client.Output[float32](result, "output_probability")
	if err != nil {
		return err
	}
	classes := len(probabilities) / len(names)
	for i, name := range names {
		fmt.Printf("%s: %s (%.2f)\n", name, origins[i], slices.Max(probabilities[i*classes:][:classes]))
	}
	return nil
}
