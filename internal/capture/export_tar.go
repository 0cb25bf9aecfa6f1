package capture

import (
	"archive/tar"
	"io"

	"sluice.io/sluice/api"
)

// tarFiles writes files as they are, also with rows outside of the range.
func (e *export) tarFiles(w io.Writer, files []api.CaptureFile) error {
	out := tar.NewWriter(w)
	for i := range files {
		if err := e.skipping(files[i].Path, e.tarFile(out, &files[i])); err != nil {
			return err
		}
	}
	return out.Close()
}

func (e *export) tarFile(out *tar.Writer, f *api.CaptureFile) error {
	rows, err := e.read(f)
	if err != nil {
		return err
	}
	const onlyUsFile = 0o600
	if err := out.WriteHeader(&tar.Header{Name: f.Path, Size: int64(len(rows.data)), Mode: onlyUsFile, ModTime: f.Last}); err != nil {
		return err
	}
	e.done.Files++
	e.done.Rows += rows.p.NumRows()
	_, err = out.Write(rows.data)
	return err
}
