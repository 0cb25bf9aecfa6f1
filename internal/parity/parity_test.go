package parity

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden is a column with the numbers of the tools' own packages, see testdata/make.py.
type golden struct {
	Name           string             `json:"name"`
	Integers       bool               `json:"integers"`
	Reference      []float64          `json:"reference"`
	Current        []float64          `json:"current"`
	ReferenceTexts []string           `json:"reference_texts"`
	CurrentTexts   []string           `json:"current_texts"`
	Evidently      map[string]verdict `json:"evidently"`
	NannyML        map[string]verdict `json:"nannyml"`
}

type verdict struct {
	Value float64 `json:"value"`
	Drift bool    `json:"drift"`
}

func TestTheSameNumbers(t *testing.T) {
	f, err := os.Open("testdata/golden.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.NewDecoder(unpacked).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		a := Column{Numbers: c.Reference, Integers: c.Integers, Texts: c.ReferenceTexts}
		b := Column{Numbers: c.Current, Integers: c.Integers, Texts: c.CurrentTexts}
		for tool, want := range map[string]map[string]verdict{Evidently: c.Evidently, NannyML: c.NannyML} {
			results := Of(tool, a, b)
			if len(results) != len(want) {
				t.Errorf("%s: %d statistics of %s; want %d", c.Name, len(results), tool, len(want))
			}
			for _, r := range results {
				w, ok := want[r.Statistic]
				if diff := math.Abs(r.Value - w.Value); !ok || diff > 1e-9*max(1, math.Abs(w.Value)) || r.Drift != w.Drift {
					t.Errorf("%s: %s %s is %v, drift %v; want %v, %v", c.Name, tool, r.Statistic, r.Value, r.Drift, w.Value, w.Drift)
				}
			}
		}
	}
}

// TestKSTail compares the p-value for one sample with values of scipy.stats.kstwo.sf 1.15.
func TestKSTail(t *testing.T) {
	for _, c := range []struct {
		n       int
		d, want float64
	}{
		{5, 0.13416407864998736, 0.99982127727014314},
		{5, 0.26832815729997472, 0.78366926821177185},
		{5, 0.40249223594996214, 0.30230019779711648},
		{5, 0.53665631459994945, 0.07107678230606948},
		{5, 0.80498447189992428, 0.00056412580040666679},
		{20, 0.067082039324993681, 0.99992236924381184},
		{20, 0.13416407864998736, 0.81840935620599176},
		{20, 0.20124611797498107, 0.34549755290800177},
		{20, 0.26832815729997472, 0.092230254505885068},
		{20, 0.40249223594996214, 0.0019415436846863532},
		{20, 0.51429563482495155, 1.9432856480960271e-05},
		{20, 0.78262379212492639, 1.7139159949431028e-13},
		{50, 0.042426406871192847, 0.99995552822938527},
		{50, 0.084852813742385694, 0.83444377919608215},
		{50, 0.12727922061357855, 0.36196339889491824},
		{50, 0.16970562748477139, 0.099602758276698955},
		{50, 0.2545584412271571, 0.0024140909587995196},
		{50, 0.32526911934581182, 3.2824691194348348e-05},
		{50, 0.49497474683058323, 7.7705859317294802e-12},
		{120, 0.027386127875258303, 0.99997177461087061},
		{120, 0.054772255750516606, 0.84469314824145858},
		{120, 0.082158383625774919, 0.37248931299680216},
		{120, 0.10954451150103321, 0.10408196731836351},
		{120, 0.16431676725154984, 0.0026731720285705068},
		{120, 0.20996031371031365, 4.0480119502435303e-05},
		{120, 0.31950482521134688, 2.1419450585123371e-11},
		{199, 0.021266436150250076, 0.999977184115447},
		{199, 0.042532872300500152, 0.84897140505316404},
		{199, 0.063799308450750228, 0.37688512678951491},
		{199, 0.085065744601000304, 0.10590424508612328},
		{199, 0.12759861690150046, 0.002770702338394567},
		{199, 0.16304267715191723, 4.3280712893962862e-05},
		{199, 0.24810842175291756, 2.8144740368082699e-11},
		{201, 0.021160368475757946, 0.99997727166249417},
		{201, 0.042320736951515892, 0.84904603924651068},
		{201, 0.063481105427273851, 0.37696195914652009},
		{201, 0.084641473903031783, 0.10593583554958197},
		{201, 0.1269622108545477, 0.0027723488516544982},
		{201, 0.16222949164747758, 4.3327198846745514e-05},
		{201, 0.24687096555050939, 2.8261686151027381e-11},
		{500, 0.013416407864998738, 0.99998310290917236},
		{500, 0.026832815729997475, 0.85454336220073446},
		{500, 0.040249223594996213, 0.38262893667777342},
		{500, 0.05366563145999495, 0.10824335474199998},
		{500, 0.080498447189992425, 0.0028882939085655068},
		{500, 0.10285912696499032, 4.650617819075129e-05},
		{500, 0.15652475842498528, 3.6412623077414485e-11},
		{5000, 0.0042426406871192849, 0.99998862014594836},
		{5000, 0.0084852813742385697, 0.8611745104587194},
		{5000, 0.012727922061357855, 0.38949567802063667},
		{5000, 0.016970562748477139, 0.11098122447398728},
		{5000, 0.025455844122715711, 0.0030140462420861084},
		{5000, 0.032526911934581182, 4.9647493404165948e-05},
		{5000, 0.049497474683058325, 4.3766945637887239e-11},
	} {
		if got := ksTail(c.n, c.d); math.Abs(got-c.want) > 1e-9+1e-7*c.want {
			t.Errorf("P(D_%d > %v) = %v; want %v", c.n, c.d, got, c.want)
		}
	}
}

func TestOneValue(t *testing.T) {
	one := Column{Numbers: []float64{3}, Integers: true}
	for _, tool := range []string{Evidently, NannyML} {
		for _, r := range Of(tool, one, one) {
			if r.Value != r.Value || r.Drift {
				t.Errorf("%s %s of one value is %v, drift %v", tool, r.Statistic, r.Value, r.Drift)
			}
		}
	}
}
