// Asks the gateway for the language of some phrases.
package main

import (
	"context"
	"fmt"
	"log"
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
	phrases := []string{"woman playing handball", "rosto com lágrimas de alegria", "drapeau avec cœur", "lachendes Gesicht"}
	text := client.NewTensor("text", []int64{int64(len(phrases)), 1}, phrases)
	result, err := c.Infer(ctx, "text", client.InferRequest{Inputs: []client.Tensor{text}})
	if err != nil {
		return err
	}
	languages, err := client.Output[string](result, "output_label")
	if err != nil {
		return err
	}
	probabilities, err := client.Output[float32](result, "output_probability")
	if err != nil {
		return err
	}
	classes := len(probabilities) / len(phrases)
	for i, phrase := range phrases {
		fmt.Printf("%s: %s (%.2f)\n", phrase, languages[i], slices.Max(probabilities[i*classes:][:classes]))
	}
	return nil
}
