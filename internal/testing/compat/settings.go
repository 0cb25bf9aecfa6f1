package compat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Translate copies a model repository of Triton into the folder to, in the layout of Sluice, and
// returns the settings that mean the same as its files config.pbtxt, as YAML. What Sluice has no
// setting for is left out.
func Translate(from, to string) (yaml string, err error) {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", err
	}
	models, err := os.ReadDir(to)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("models:\n")
	for _, m := range models {
		dir := filepath.Join(to, m.Name())
		text, err := os.ReadFile(filepath.Join(dir, "config.pbtxt"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		c := &pb.ModelConfig{}
		if err := (prototext.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, c); err != nil {
			return "", fmt.Errorf("%s: %w", m.Name(), err)
		}
		if err := arrange(dir, c); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %s: {%s}\n", m.Name(), settings(c))
	}
	return b.String(), nil
}

// arrange moves the files of a model to the places and names that Sluice knows.
func arrange(dir string, c *pb.ModelConfig) error {
	versions, err := filepath.Glob(filepath.Join(dir, "[1-9]*"))
	if err != nil {
		return err
	}
	for _, version := range versions {
		if name := c.GetDefaultModelFilename(); name != "" {
			if err := os.Rename(filepath.Join(version, name), filepath.Join(version, "model.onnx")); err != nil {
				return err
			}
		}
		for _, output := range c.GetOutput() {
			name := output.GetLabelFilename()
			if name == "" {
				continue
			}
			labels, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(version, "labels.txt"), labels, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// settings are those of one model, as YAML. Triton runs two instances and up to four rows if
// nothing says otherwise.
func settings(c *pb.ModelConfig) string {
	instances := int32(0)
	for _, group := range c.GetInstanceGroup() {
		instances += group.GetCount()
	}
	if len(c.GetInstanceGroup()) == 0 {
		instances = 2
	}
	d := c.GetDynamicBatching()
	batching := []string{fmt.Sprintf("oversize: reject, max_delay: %dus", d.GetMaxQueueDelayMicroseconds())}
	switch size := c.GetMaxBatchSize(); {
	case size > 0:
		batching = append(batching, fmt.Sprintf("enabled: true, max_size: %d", size))
	case len(c.GetInput()) > 0:
		batching = append(batching, "enabled: false")
	default:
		batching = append(batching, "max_size: 4")
	}
	if n := d.GetDefaultQueuePolicy().GetMaxQueueSize(); n > 0 {
		batching = append(batching, fmt.Sprintf("queue: {max_requests: %d}", n))
	}
	all := []string{fmt.Sprintf("instances: %d", instances), "batching: {" + strings.Join(batching, ", ") + "}"}
	if n := d.GetPriorityLevels(); n > 0 {
		all = append(all, fmt.Sprintf("priority_levels: %d, default_priority: %d", n, d.GetDefaultPriorityLevel()))
	}
	switch p := c.GetVersionPolicy(); {
	case p.GetLatest() != nil:
		all = append(all, fmt.Sprintf("versions: {latest: %d}", p.GetLatest().GetNumVersions()))
	case p.GetAll() != nil:
		all = append(all, "versions: all")
	case p.GetSpecific() != nil:
		all = append(all, "versions: "+strings.ReplaceAll(fmt.Sprint(p.GetSpecific().GetVersions()), " ", ", "))
	}
	return strings.Join(all, ", ")
}
