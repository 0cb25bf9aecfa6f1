package ort

import (
	"fmt"
	"regexp"
)

// newestOpset is the newest opset of ONNX's own operators that ONNX Runtime 1.24 supports. ONNX
// Runtime's message does not have it if the file format is too new.
const newestOpset = 25

// Messages of ONNX Runtime about models that are too new for it, or whose operators it lacks. A
// node is shown as ("name", operator, "domain", version).
var (
	formatTooNew = regexp.MustCompile(`Unsupported model IR version: (\d+), max supported IR version: (\d+)`)
	opsetTooNew  = regexp.MustCompile(`Opset (\d+) is under development.* support for domain (\S+) is till opset (\d+)`)
	notInOpset   = regexp.MustCompile(`\("[^"]*", ([^,"]+), "([^"]*)", -?\d+\).* No Op registered for \S+ with domain_version of (\d+)`)
	unknown      = regexp.MustCompile(`Fatal error: (\S*):(\S+)\(-?\d+\) is not a registered function/op`)
	notImported  = regexp.MustCompile(`\("[^"]*", ([^,"]+), "[^"]*", -?\d+\).* No opset import for domain '([^']*)'`)
	noKernel     = regexp.MustCompile(`Could not find an implementation for (\S+)\((\d+)\) node`)

	// ownDomain matches the domains whose operators are part of ONNX Runtime.
	ownDomain = regexp.MustCompile(`^(ai\.onnx|com\.microsoft)(\.|$)`)
)

// explain says in a sentence why ONNX Runtime refuses to load a model, and what to do. ok is
// false if it does not know the text. library is ONNX Runtime's version, and customOps says
// whether libraries of custom operators were registered.
func explain(text, library string, customOps bool) (sentence string, ok bool) {
	f := func(pattern *regexp.Regexp, explain func(m []string) string) {
		if m := pattern.FindStringSubmatch(text); m != nil && !ok {
			sentence, ok = explain(m), true
		}
	}
	library = "ONNX Runtime " + library
	f(formatTooNew, func(m []string) string {
		return fmt.Sprintf("its IR version is %s, and %s reads at most %s; export with opset ≤ %d, or with an earlier release of the onnx package",
			m[1], library, m[2], newestOpset)
	})
	f(opsetTooNew, func(m []string) string {
		return fmt.Sprintf("it uses opset %s of domain '%s', and %s supports at most %s; export with opset ≤ %s", m[1], m[2], library, m[3], m[3])
	})
	f(notInOpset, func(m []string) string {
		return fmt.Sprintf("operator '%s' of domain '%s' is not in opset %s, which the model uses; export with an opset that has it, ≤ %d for 'ai.onnx', or without it",
			m[1], domainName(m[2]), m[3], newestOpset)
	})
	f(unknown, func(m []string) string {
		advice := "custom operators are not registered; list the library that has it in runtime.custom_ops, or export the model without it"
		switch {
		case ownDomain.MatchString(domainName(m[1])):
			advice = library + " does not have it; export the model without it"
		case customOps:
			advice = "no library in runtime.custom_ops has it; add the one that does, or export the model without it"
		}
		return fmt.Sprintf("operator '%s' of domain '%s' is unknown: %s", m[2], domainName(m[1]), advice)
	})
	f(notImported, func(m []string) string {
		return fmt.Sprintf("it has operator '%s' of domain '%s' and does not import that domain; the file is not valid, export it again", m[1], m[2])
	})
	f(noKernel, func(m []string) string {
		return fmt.Sprintf("%s has no implementation of operator '%s' (opset %s) for the datatypes of this model; export it with others, FP32 for example",
			library, m[1], m[2])
	})
	return sentence, ok
}

// domainName returns the usual name of a domain: that of ONNX's own operators is empty in
// files.
func domainName(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return domain
}
