// Asks the gateway about two tumours.
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
	tumours := client.NewTensor("input", []int64{2, 10}, []float32{
		19.55, 28.77, 133.6, 1207.0, 0.0926, 0.2063, 0.1784, 0.1144, 0.1893, 0.06232,
		14.05, 27.15, 91.38, 600.4, 0.09929, 0.1126, 0.04462, 0.04304, 0.1537, 0.06171,
	})
	result, err := c.Infer(ctx, "lightgbm", client.InferRequest{Inputs: []client.Tensor{tumours}})
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
	names := []string{"malignant", "benign"}
	for i, label := range labels {
		fmt.Printf("%s (%.2f)\n", names[label], probabilities[i*len(names)+int(label)])
	}
	return nil
}
