package compare

import (
	"strings"

	"sluice.io/sluice/internal/infer"
)

// inputElements is how many elements of an input are shown.
const inputElements = 16

// inputsOf returns the first elements of a row of each input, as text.
func inputsOf(inputs []infer.Tensor, row int) map[string]string {
	shown := map[string]string{}
	for i := range inputs {
		t := &inputs[i]
		count, _ := t.Shape.Elements()
		rows := max(1, int(t.Rows()))
		perRow := max(1, int(count)/rows)
		first := min(row, rows-1) * perRow
		var list []string
		if read := infer.NumberReader(t.DType); read != nil {
			width := t.DType.Size()
			for at := first; at < first+min(perRow, inputElements) && (at+1)*width <= len(t.Data); at++ {
				list = append(list, numberText(read(t.Data[at*width:])))
			}
		} else {
			list = texts(t.Data, first, min(perRow, inputElements))
		}
		if perRow > inputElements {
			list = append(list, "…")
		}
		shown[t.Name] = strings.Join(list, " ")
	}
	return shown
}

// texts returns n elements of text from the first one on.
func texts(data []byte, first, n int) (list []string) {
	for at := 0; at < first+n; at++ {
		element, rest, ok := infer.NextElement(data)
		if !ok {
			break
		}
		if data = rest; at >= first {
			list = append(list, shortText(element))
		}
	}
	return list
}
