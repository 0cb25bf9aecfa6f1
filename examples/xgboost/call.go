// Asks the gateway about two wines.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

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
	// The columns in the order in which the model was trained.
	wines := client.NewTensor("input", []int64{2, 13}, []float32{
		13.52, 3.17, 2.72, 23.5, 97.0, 1.55, 0.52, 0.5, 0.55, 4.35, 0.89, 2.06, 520.0,
		13.11, 1.9, 2.75, 25.5, 116.0, 2.2, 1.28, 0.26, 1.56, 7.1, 0.61, 1.33, 425.0,
	})
	result, err := c.Infer(ctx, "xgboost", client.InferRequest{Inputs: []client.Tensor{wines}})
	if err != nil {
		return err
	}
	labels, err := client.Output[int64](result, "label")
	if err != nil {
		return err
	}
	probabilities, err := client.Output[float32](result, "probabilities")
	if err != nil {
		return err
	}
	meta, err := c.ModelMetadata(ctx, "xgboost", 0)
	if err != nil {
		return err
	}
	var names []string // the lines of labels.txt
	for _, output := range meta.Outputs {
		if output.Name == "probabilities" {
			names = output.Parameters.Labels
		}
	}
	for i, label := range labels {
		fmt.Printf("%s (%.2f)\n", names[label], probabilities[i*len(names)+int(label)])
	}
	return nil
}
