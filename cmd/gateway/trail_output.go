package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"sluice.io/sluice/api"
)

// shortDigest is the part of a digest that people compare.
func shortDigest(digest string) string {
	return fmt.Sprintf("%.12s", oneLine(strings.TrimPrefix(digest, "sha256:")))
}

// versionChange describes the change of a version: "digest 1f0c… → 9ae2…, cause poll".
func versionChange(e *api.Event) string {
	var c api.VersionChange
	if err := json.Unmarshal(e.After, &c); err != nil {
		return unknownForm
	}
	var list []string
	if c.Role == api.RoleShadow {
		list = append(list, "shadow")
	}
	switch {
	case e.Type == api.EventVersionReplaced && c.Was == c.Digest:
		list = append(list, "digest "+shortDigest(c.Digest)+" loaded again")
	case e.Type == api.EventVersionReplaced:
		list = append(list, "digest "+shortDigest(c.Was)+" → "+shortDigest(c.Digest))
	case c.Digest != "":
		list = append(list, "digest "+shortDigest(c.Digest))
	}
	text := strings.Join(append(list, "cause "+oneLine(c.Cause)), ", ")
	if c.Reason != "" {
		text += ": " + oneLine(c.Reason)
	}
	return text
}

// defaultChange describes the change of a model's default version: "v2 → v3, cause poll".
func defaultChange(e *api.Event) string {
	var d api.DefaultChange
	if err := json.Unmarshal(e.After, &d); err != nil {
		return unknownForm
	}
	name := func(version int64) string {
		if version == 0 {
			return "none"
		}
		return fmt.Sprintf("v%d", version)
	}
	return fmt.Sprintf("%s → %s, cause %s", name(d.Was), name(d.Version), oneLine(d.Cause))
}

// startChange describes a start, and the end of the previous run.
func startChange(e *api.Event) string {
	var s api.GatewayStart
	if err := json.Unmarshal(e.After, &s); err != nil {
		return unknownForm
	}
	text := "version " + oneLine(s.Version)
	switch b := s.Before; {
	case b == nil:
		return text + "; the first start"
	case b.How == api.EndStopped:
		return text + "; the previous run stopped at " + timeText(&b.LastAlive)
	case b.How == api.EndKilled:
		return text + "; the previous run was killed between its last heartbeat, at " + timeText(&b.LastAlive) + ", and this start"
	default:
		return text + "; it is not known how the previous run ended"
	}
}

// printServed prints the versions that served a route at a time.
func printServed(b *strings.Builder, s *api.ServedAt) {
	fmt.Fprintf(b, "Route:\t%s\nModel:\t%s\nAt:\t%s\nGateway:\t%s\nRevision:\t%s\n",
		oneLine(s.Name), oneLine(s.Model), timeText(&s.At), gatewayText(&s.Gateway), revisionAtText(s))
	if s.Revision != 0 {
		line(b, "Sticky", stickyText(s.Sticky))
	}
	if f := s.Fallback; f != nil {
		line(b, "Fallback", strings.Join(nonEmpty(fmt.Sprintf("v%d", f.Version), shortDigest(f.Digest), oneLine(f.State), oneLine(f.Reason)), " "))
	}
	if len(s.Variants) == 0 {
		fmt.Fprintln(b, "\nNo version answered.")
		return
	}
	fmt.Fprintln(b, "\nVERSION\tROLE\tWEIGHT\tDIGEST\tSTATE\tBREAKER\tLOADED\tREASON")
	for i := range s.Variants {
		v := &s.Variants[i]
		fmt.Fprintf(b, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Version, oneLine(v.Role), api.Percent(v.Weight), orDash(shortDigest(v.Digest)),
			oneLine(v.State), orDash(oneLine(v.Breaker)), timeText(v.LoadedAt), orDash(oneLine(v.Reason)))
	}
	if len(s.Shadows) == 0 {
		return
	}
	fmt.Fprintln(b, "\nSHADOW\tSAMPLE\tDIGEST\tSTATE\tLOADED\tREASON")
	for i := range s.Shadows {
		v := &s.Shadows[i]
		fmt.Fprintf(b, "%d\t%s\t%s\t%s\t%s\t%s\n", v.Version, api.Percent(v.Sample), orDash(shortDigest(v.Digest)),
			oneLine(v.State), timeText(v.LoadedAt), orDash(oneLine(v.Reason)))
	}
}

func nonEmpty(texts ...string) []string {
	var list []string
	for _, text := range texts {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// gatewayText describes the state of the gateway at a time.
func gatewayText(g *api.GatewayAt) string {
	next := "; it has not started since"
	if g.NextStart != nil {
		next = "; it started again at " + timeText(g.NextStart)
	}
	switch g.State {
	case api.GatewayUp:
		return fmt.Sprintf("up since %s, version %s", timeText(g.StartedAt), oneLine(g.Version))
	case api.GatewayDown:
		return "stopped at " + timeText(g.StoppedAt) + next
	case api.GatewayKilled:
		return fmt.Sprintf("killed between its last heartbeat, at %s, and the next start, at %s; the versions below served until then", timeText(g.LastAlive), timeText(g.NextStart))
	default:
		return "not known: the journal has no start before that time"
	}
}

// revisionAtText describes the revision of a route and its author: "7, set 2026-11-30 12:00:00 by
// alice "first users"".
func revisionAtText(s *api.ServedAt) string {
	if s.Change == nil {
		return revisionText(s.Revision)
	}
	text := fmt.Sprintf("%s, set %s by %s", revisionText(s.Revision), timeText(&s.Change.Time), eventActor(s.Change))
	if s.Change.Reason != "" {
		text += " " + quoted(s.Change.Reason)
	}
	return text
}
