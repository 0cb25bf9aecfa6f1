// Asks the gateway how the diabetes of two patients will progress.
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
	// age, sex, body mass index, blood pressure, and six numbers from the blood
	patients := client.NewTensor("measurements", []int64{2, 10}, []float32{
		60.0, 1.0, 23.4, 76.67, 247.0, 148.0, 65.0, 3.8, 5.1358, 77.0,
		27.0, 1.0, 22.6, 71.0, 116.0, 43.4, 56.0, 2.0, 4.4188, 79.0,
	})
	result, err := c.Infer(ctx, "pytorch", client.InferRequest{Inputs: []client.Tensor{patients}})
	if err != nil {
		return err
	}
	progressions, err := client.Output[float32](result, "progression")
	if err != nil {
		return err
	}
	for _, progression := range progressions {
		fmt.Printf("%.1f\n", progression)
	}
	return nil
}
