// Sends a picture to the gateway and prints the three most likely digits.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"strconv"
	"strings"

	"sluice.io/sluice/client"
)

func main() {
	path := "digit.png"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := call(context.Background(), path); err != nil {
		log.Fatal(err)
	}
}

func call(ctx context.Context, path string) error {
	picture, err := read(path)
	if err != nil {
		return err
	}
	size := picture.Bounds().Size()
	pixels := make([]int, len(picture.Pix)) // []byte would be written as base64
	for i, grey := range picture.Pix {
		pixels[i] = int(grey)
	}
	body, err := json.Marshal(map[string]any{
		"inputs": []any{map[string]any{"name": "pictures", "datatype": "UINT8", "shape": []int{1, size.Y, size.X}, "data": pixels}},
		// Only the best three of the ten probabilities, as "value:index:label".
		"outputs": []any{map[string]any{"name": "probabilities", "parameters": map[string]any{"classification": 3}}},
	})
	if err != nil {
		return err
	}
	c, err := client.New(client.Options{Data: os.Getenv("SLUICE_DATA")}) // empty is 127.0.0.1:8000
	if err != nil {
		return err
	}
	prediction, err := c.InferJSON(ctx, "image", 0, body)
	if err != nil {
		return err
	}
	var answer struct{ Outputs []struct{ Data []string } }
	if err := json.Unmarshal(prediction.Body, &answer); err != nil {
		return err
	}
	for _, text := range answer.Outputs[0].Data {
		part := strings.SplitN(text, ":", 3)
		value, err := strconv.ParseFloat(part[0], 64)
		if err != nil {
			return err
		}
		fmt.Printf("%s (%.2f)\n", part[2], value)
	}
	return nil
}

// read returns a picture in grey, 0 to 255.
func read(path string) (*image.Gray, error) {
	f, err := os.Open(path) //nolint:gosec // named by the caller
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	picture, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	b := picture.Bounds()
	grey := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			grey.Set(x, y, color.GrayModel.Convert(picture.At(b.Min.X+x, b.Min.Y+y)))
		}
	}
	return grey, nil
}
