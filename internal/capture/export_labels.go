package capture

import (
	"errors"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxJoinedBytes bounds the size of the labels that an export has in memory.
const maxJoinedBytes = 128 << 20

// exportedLabelTime names the time of a label in an export.
const exportedLabelTime = "label_time" // of a column

// joinedColumns are the columns of an export with labels, besides those of requests.
func joinedColumns() []column {
	return []column{
		{name: "label", node: parquet.Optional(parquet.String())},
		{name: "label_number", node: parquet.Optional(parquet.Leaf(parquet.DoubleType))},
		{name: exportedLabelTime, node: parquet.Optional(parquet.Timestamp(parquet.Microsecond))},
	}
}

// joined returns the layout of rows with labels.
func (l *layout) joined() *layout {
	with := *l
	with.columns = slices.Concat(l.columns, joinedColumns())
	return &with
}

// labelKey identifies the row of a label.
type labelKey struct {
	request string
	row     int32
}

// labelSet has the labels of some requests.
type labelSet struct {
	size   int
	most   int
	labels map[labelKey]exportedLabel
}

type exportedLabel struct {
	received int64
	cells    [3]parquet.Value // of the joinedColumns
}

// labelledFiles writes the rows of files with their labels. It reads the labels of as many files
// together as the memory is enough for, since each file of labels may have some of any request.
func (e *export) labelledFiles(files, labels []api.CaptureFile) error {
	if len(files) == 0 {
		return nil
	}
	set, err := e.labels(files, labels)
	switch {
	case errors.Is(err, errTooManyLabels) && len(files) > 1:
		half := len(files) / 2
		if err := e.labelledFiles(files[:half], labels); err != nil {
			return err
		}
		return e.labelledFiles(files[half:], labels)
	case err != nil:
		return err
	}
	e.set = set
	return e.files(files)
}

var errTooManyLabels = infer.Errorf(infer.TooLarge, "the labels of a file of requests need more than %d bytes; export without labels, and read their files", maxJoinedBytes)

// labels reads the labels of the requests of some files. The one that was received last wins.
func (e *export) labels(files, labels []api.CaptureFile) (*labelSet, error) {
	of := api.CaptureRange{Since: files[0].First, Until: files[0].Last}
	for i := range files {
		if files[i].First.Before(of.Since) {
			of.Since = files[i].First
		}
		if files[i].Last.After(of.Until) {
			of.Until = files[i].Last
		}
	}
	of.Since, of.Until = of.Since.Truncate(time.Microsecond), of.Until.Truncate(time.Microsecond).Add(time.Microsecond)
	set := &labelSet{most: e.s.joinBytes, labels: map[labelKey]exportedLabel{}}
	for i := range labels {
		if !of.Selects(&labels[i]) || e.damaged[labels[i].Path] {
			continue
		}
		err := e.labelFile(&labels[i], of, set)
		if err == nil {
			continue
		}
		if errors.Is(err, errTooManyLabels) {
			return nil, err
		}
		if err := e.skipping(labels[i].Path, err); err != nil {
			return nil, err
		}
		e.damaged[labels[i].Path] = true // it would be counted again with the next requests
	}
	return set, nil
}

// labelFile adds the labels of a file that are about requests of a range.
func (e *export) labelFile(f *api.CaptureFile, of api.CaptureRange, set *labelSet) error {
	rows, err := e.read(f)
	if err != nil {
		return err
	}
	if f.Kind != kindLabels || len(rows.l.columns) != labelNumber+1 {
		return errDamaged
	}
	return rows.each(func(cells [][]parquet.Value) error {
		if at := time.UnixMicro(cells[labelRequested][0].Int64()); at.Before(of.Since) || !at.Before(of.Until) {
			return nil
		}
		return set.add(cells)
	})
}

// add adds a label. The next row may use the values again.
func (s *labelSet) add(cells [][]parquet.Value) error {
	key := labelKey{text(cells[labelRequest][0]), cells[labelRow][0].Int32()}
	received := cells[labelReceived][0].Int64()
	last, found := s.labels[key]
	if last.received > received {
		return nil
	}
	label, number := cells[labelText][0].Clone(), cells[labelNumber][0]
	if s.size += len(label.ByteArray()); !found {
		const beside = 256 // of an entry
		s.size += len(key.request) + beside
	}
	if s.size > s.most {
		return errTooManyLabels
	}
	s.labels[key] = exportedLabel{received, [3]parquet.Value{
		label.Level(0, isPresent, 0), number.Level(0, number.DefinitionLevel(), 0), cells[labelTime][0].Level(0, isPresent, 0),
	}}
	return nil
}

// of returns the cells of the joinedColumns of a row.
func (s *labelSet) of(row [][]parquet.Value) [3]parquet.Value {
	label, found := s.labels[labelKey{text(row[columnRequest][0]), row[columnRow][0].Int32()}]
	if !found {
		null := parquet.NullValue().Level(0, isNull, 0)
		return [3]parquet.Value{null, null, null}
	}
	return label.cells
}
