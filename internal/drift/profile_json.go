package drift

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// The limits of a profile.
const (
	MaxFeatures     = 10_000
	MaxProfileBytes = 64 << 20 // max size of a profile with that many features, with a margin
)

// Read reads a profile of at most maxBytes. Errors are TooLarge, Invalid (incomplete, another
// format, or inconsistent) and those of r.
func Read(r io.Reader, maxBytes int64) (*Profile, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > maxBytes {
		return nil, infer.Errorf(infer.TooLarge, "the profile is larger than %d bytes", maxBytes)
	}
	var head struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, unreadable(err, text)
	}
	if head.Format != Format {
		return nil, infer.Errorf(infer.Invalid, "the profile's format is '%.60s'; expected '%s': make it again with gateway profile build", head.Format, Format)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var p Profile
	if err := dec.Decode(&p); err != nil {
		return nil, unreadable(err, text)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// unreadable describes the error in a profile's text.
func unreadable(err error, text []byte) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return infer.Errorf(infer.Invalid, "the profile is empty")
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(text)):
		return infer.Errorf(infer.Invalid, "the profile is incomplete: it ends after %d bytes", len(text))
	case errors.As(err, &kind) && kind.Field == "":
		return infer.Errorf(infer.Invalid, "the file is not a profile: expected a JSON object, got %s %s", article(kind.Value), kind.Value)
	case errors.As(err, &kind):
		return infer.Errorf(infer.Invalid, "the file is not a profile: %s cannot be %s %s", kind.Field, article(kind.Value), kind.Value)
	default:
		return infer.Errorf(infer.Invalid, "the file is not a profile: %v", err)
	}
}

// article returns the article for a kind of JSON value.
func article(kind string) string {
	if kind == "array" || kind == "object" {
		return "an"
	}
	return "a"
}

// Write writes the profile with a feature on each line, so that diffs of two files are readable.
func (p *Profile) Write(w io.Writer) error {
	if err := p.check(); err != nil {
		return err
	}
	text, err := p.text()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// Digest returns "sha256:" and the hex SHA-256 of the output of Write. Events have it, so that the
// profile of a comparison can be identified.
func (p *Profile) Digest() (string, error) {
	text, err := p.text()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// text returns the canonical form of a profile. No number in it can be NaN or infinite, which JSON
// does not have: edges, range and moments come from finite values.
func (p *Profile) text() ([]byte, error) {
	head := *p
	head.Features = []Feature{}
	text, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("drift: write profile: %w", err)
	}
	text = bytes.TrimSuffix(text, []byte("]}"))
	for i := range p.Features {
		feature, err := json.Marshal(&p.Features[i])
		if err != nil {
			return nil, fmt.Errorf("drift: write profile: feature '%s': %w", p.Features[i].Name, err)
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '\n')
		text = append(text, feature...)
	}
	return append(text, "\n]}\n"...), nil
}

// check checks the invariants that the rest of the package relies on. Errors name the feature.
func (p *Profile) check() error {
	switch {
	case p.Rows < 1 || p.Sampled < 1:
		return infer.Errorf(infer.Invalid, "the profile has no rows; expected at least one")
	case p.Sampled > p.Rows:
		return infer.Errorf(infer.Invalid, "the profile has %d rows but %d sampled rows", p.Rows, p.Sampled)
	case p.Version < 0:
		return infer.Errorf(infer.Invalid, "the profile's version is %d; expected 1 or more, or none for all", p.Version)
	case p.OutputsOf < 0:
		return infer.Errorf(infer.Invalid, "the profile's outputs_of is %d; expected a version, or none", p.OutputsOf)
	case len(p.Features) < 1 || len(p.Features) > MaxFeatures:
		return infer.Errorf(infer.Invalid, "the profile has %d features; expected 1 to %d", len(p.Features), MaxFeatures)
	}
	if err := p.checkTexts(); err != nil {
		return err
	}
	if err := p.checkVectors(); err != nil {
		return err
	}
	type name struct{ kind, name string }
	at, named := map[position]string{}, map[name]bool{}
	for i := range p.Features {
		f := &p.Features[i]
		if err := f.check(uint64(p.Sampled)); err != nil {
			return infer.Errorf(infer.Invalid, "feature %d, '%.60s': %v", i+1, f.Name, err)
		}
		if named[name{f.Kind, f.Name}] {
			return infer.Errorf(infer.Invalid, "two features of kind %s are named '%.60s'", f.Kind, f.Name)
		}
		if other, ok := at[f.position()]; ok {
			return infer.Errorf(infer.Invalid, "features '%.60s' and '%.60s' are both %selement %d of %s '%.60s'", other, f.Name, f.ofText(), f.Element, f.Kind, f.Tensor)
		}
		at[f.position()], named[name{f.Kind, f.Name}] = f.Name, true
	}
	if p.Pairs != nil {
		if err := p.checkPairs(); err != nil {
			return infer.Errorf(infer.Invalid, "the profile's pairs: %v", err)
		}
	}
	if err := p.checkWeek(); err != nil {
		return err
	}
	return p.checkSegments()
}

// checkPairs checks the pairs after the features.
func (p *Profile) checkPairs() error {
	if err := p.Pairs.check(len(p.Features), uint64(p.Sampled)); err != nil { //nolint:gosec // positive
		return err
	}
	for _, i := range p.Pairs.Features {
		if s := scoresOf(p.Features[i].Reference.Bins); !p.Features[i].pairable(&s) {
			return fmt.Errorf("feature '%.60s' cannot be paired: too many of its values are the same", p.Features[i].Name)
		}
	}
	return nil
}

// checkTexts checks the number of bytes of texts.
func (p *Profile) checkTexts() error {
	texts := slices.ContainsFunc(p.Features, func(f Feature) bool { return f.OfText() })
	switch {
	case texts && (p.TextBytes < 1 || p.TextBytes > MaxTextBytes):
		return infer.Errorf(infer.Invalid, "the profile has texts of %d bytes; expected 1 to %d", p.TextBytes, MaxTextBytes)
	case !texts && p.TextBytes != 0:
		return infer.Errorf(infer.Invalid, "the profile has a number of bytes for texts, but no texts")
	}
	return nil
}

// ofText names the measure of a text in a message.
func (f *Feature) ofText() string {
	if f.OfText() {
		return "the " + f.Measure + " of "
	}
	return ""
}

func (f *Feature) check(sampled uint64) error {
	dtype, known := infer.ParseDType(f.Datatype)
	switch {
	case f.Name == "":
		return errors.New("the name is missing")
	case f.Kind != KindInput && f.Kind != KindOutput:
		return fmt.Errorf("kind '%.60s'; expected %s or %s", f.Kind, KindInput, KindOutput)
	case f.Tensor == "":
		return errors.New("the tensor is missing")
	case f.Element < 0 || f.Element > math.MaxInt32: // far more than a row has, so that no sum of bytes overflows
		return fmt.Errorf("element %d; expected 0 to %d", f.Element, math.MaxInt32)
	case f.Datatype != "" && (!known || (dtype == infer.Bytes) != f.OfText()):
		return fmt.Errorf("datatype '%.60s', measure '%.60s'; expected a numeric datatype, or BYTES with a measure", f.Datatype, f.Measure)
	case f.OfText() && !slices.Contains(measured[:], f.Measure) && !f.IsCategory():
		return fmt.Errorf("measure '%.60s'; expected %s, or one of %s", f.Measure, MeasureCategory, strings.Join(measured[:], ", "))
	case f.Measure == MeasureVector:
		return fmt.Errorf("measure '%s', which only columns of a table have", f.Measure)
	case f.IsCategory() && f.Text == nil:
		return errors.New("the values of the category are missing")
	case f.Text != nil && !f.OfText():
		return errors.New("values of a text, but no measure")
	case len(f.Edges) >= MaxBins:
		return fmt.Errorf("%d edges; expected at most %d", len(f.Edges), MaxBins-1)
	case len(f.Reference.Bins) != len(f.Edges)+1:
		return fmt.Errorf("%d bins for %d edges; expected %d", len(f.Reference.Bins), len(f.Edges), len(f.Edges)+1)
	}
	for i, e := range f.Edges {
		if i > 0 && !(e > f.Edges[i-1]) {
			return fmt.Errorf("edge %d is %v after %v; expected them to ascend", i+1, e, f.Edges[i-1])
		}
	}
	if err := f.checkRare(); err != nil {
		return err
	}
	if f.Text != nil {
		if err := f.Text.check(f); err != nil {
			return err
		}
	}
	return f.checkCounts(sampled)
}

// checkRare checks the values and the tails.
func (f *Feature) checkRare() error {
	if n := len(f.Values); n != 0 && n != len(f.Reference.Bins) {
		return fmt.Errorf("%d values for %d bins; expected one for each bin, or none", n, len(f.Reference.Bins))
	}
	for i, x := range f.Values {
		if below := i > 0 && !(x > f.Edges[i-1]); below || i < len(f.Edges) && !(x <= f.Edges[i]) || x-x != 0 {
			return fmt.Errorf("value %d is %v, which is not in its bin", i+1, x)
		}
	}
	if n := len(f.Tails); n != 0 && (n != 2 || !(f.Tails[0] < f.Tails[1]) || f.Tails[0]-f.Tails[0] != 0 || f.Tails[1]-f.Tails[1] != 0) {
		return fmt.Errorf("%d tails; expected two finite numbers that ascend, or none", n)
	}
	return nil
}

func (f *Feature) checkCounts(sampled uint64) error {
	c := &f.Reference
	n := uint64(0)
	for _, k := range append([]uint64{c.Missing, c.NaN, c.PosInf, c.NegInf}, c.Bins...) {
		if k > sampled {
			return fmt.Errorf("a count is %d, but only %d rows are sampled", k, sampled)
		}
		n += k // at most 37 numbers below 2^63, checked one by one
		if n > sampled {
			break
		}
	}
	values := [...]float64{f.Min, f.Max, f.Mean, f.Variance, c.Sum, c.Squares}
	for _, x := range values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("a moment is %v; expected finite numbers", x)
		}
	}
	switch {
	case n != sampled:
		return fmt.Errorf("its counts do not add up to the %d sampled rows", sampled)
	case len(f.Edges) == 0 && c.Finite() > 0:
		return errors.New("finite values but no edges")
	case f.Min > f.Max || f.Mean < f.Min || f.Mean > f.Max:
		return fmt.Errorf("mean %v, minimum %v and maximum %v contradict each other", f.Mean, f.Min, f.Max)
	case f.Variance < 0 || c.Squares < 0:
		return errors.New("a negative variance or sum of squares")
	case c.Below > 0 || c.Above > 0:
		return errors.New("values of the reference are outside its own range")
	case c.New > 0 || c.Unseen > 0 || len(c.Fresh) > 0:
		return errors.New("the reference has values that are not among its own")
	case c.Low > c.Finite() || c.High > c.Finite()-c.Low:
		return errors.New("its tails have more values than it has")
	}
	return nil
}
