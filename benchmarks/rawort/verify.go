package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// verify prints what the model answers to the tensor in the file.
func verify(o options, in io.Reader, out io.Writer) (err error) {
	if o.verify != "-" {
		f, err := os.Open(o.verify)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	input := make([]float32, elements(o.shape))
	if err := binary.Read(in, binary.LittleEndian, input); err != nil {
		return fmt.Errorf("a tensor of FP32 %v: %w", o.shape, err)
	}
	if n, _ := io.ReadFull(in, make([]byte, 1)); n > 0 {
		return fmt.Errorf("a tensor of FP32 %v: the file is longer", o.shape)
	}
	s, err := load(o.model, false)
	if err != nil {
		return err
	}
	defer s.close()
	t, err := s.prepare(input, o.shape)
	if err != nil {
		return err
	}
	defer t.close()
	list, err := t.run()
	if err != nil {
		return err
	}
	for _, o := range list {
		for i, v := range o.Data {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("output %s has the value %v at %d", o.Name, v, i)
			}
		}
	}
	return json.NewEncoder(out).Encode(struct {
		ModelName string   `json:"model_name"`
		Outputs   []output `json:"outputs"`
	}{name(o.model), list})
}

// name returns that of a model in a repository, <name>/<version>/model.onnx.
func name(file string) string {
	path, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	return filepath.Base(filepath.Dir(filepath.Dir(path)))
}

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}
