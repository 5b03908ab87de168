package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"twinbore/config"
)

// A checkReport is what check found.
type checkReport struct {
	Problems             config.Problems
	Files                []string // none when the configuration is invalid
	Connections, Tunnels int
}

// promote makes errors of warnings.
func (r *checkReport) promote() {
	for i := range r.Problems {
		r.Problems[i].Severity = config.Error
	}
}

func (r *checkReport) write(a *app, format string) error {
	switch format {
	case "json":
		return writeJSON(a, r.json())
	case "sarif":
		return writeJSON(a, r.sarif())
	}
	errors, warnings := r.Problems.Count(config.Error), r.Problems.Count(config.Warning)
	for _, p := range r.Problems {
		if p.Severity == config.Error || !a.quiet {
			fmt.Fprintln(a.out, p)
		}
	}
	switch {
	case errors > 0:
		fmt.Fprintf(a.out, "invalid: %s, %s\n", count(errors, "error"), count(warnings, "warning"))
	case !a.quiet:
		fmt.Fprintf(a.out, "valid: %s, %s, %s\n", count(r.Connections, "connection"), count(r.Tunnels, "tunnel"), count(warnings, "warning"))
	}
	return nil
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func writeJSON(a *app, v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

type checkJSON struct {
	SchemaVersion int            `json:"schemaVersion"`
	Valid         bool           `json:"valid"`
	Files         []string       `json:"files"`
	Connections   int            `json:"connections"`
	Tunnels       int            `json:"tunnels"`
	Problems      []checkProblem `json:"problems"`
}

type checkProblem struct {
	Severity config.Severity `json:"severity"`
	File     string          `json:"file"`
	Line     int             `json:"line"`
	Column   int             `json:"column"`
	Path     string          `json:"path"`
	Message  string          `json:"message"`
	Want     string          `json:"want"`
	Hint     string          `json:"hint"`
}

func (r *checkReport) json() checkJSON {
	out := checkJSON{SchemaVersion: 1, Valid: r.Problems.Count(config.Error) == 0, Files: append([]string{}, r.Files...),
		Connections: r.Connections, Tunnels: r.Tunnels, Problems: []checkProblem{}}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, checkProblem{p.Severity, p.Pos.File, p.Pos.Line, p.Pos.Column, p.Path, p.Text, p.Want, p.Hint})
	}
	return out
}

// sarif is the report as code scanners exchange it: SARIF 2.1.0, one run, one rule.
func (r *checkReport) sarif() map[string]any {
	type object = map[string]any
	results := []object{}
	for _, p := range r.Problems {
		bare := p
		bare.Pos, bare.Severity = config.Pos{}, ""
		result := object{"ruleId": "config", "level": string(p.Severity), "message": object{"text": bare.String()}}
		if p.Pos.File != "" {
			place := object{"artifactLocation": object{"uri": fileURI(p.Pos.File)}}
			if p.Pos.Line > 0 {
				place["region"] = object{"startLine": p.Pos.Line, "startColumn": max(p.Pos.Column, 1)}
			}
			result["locations"] = []object{{"physicalLocation": place}}
		}
		results = append(results, result)
	}
	return object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []object{{
			"tool":    object{"driver": object{"name": "twinbore", "version": version, "rules": []object{{"id": "config", "name": "Configuration"}}}},
			"results": results,
		}},
	}
}

// fileURI is a path as SARIF wants it: a relative one stays relative.
func fileURI(path string) string {
	escaped := strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F").Replace(path)
	if strings.HasPrefix(path, "/") {
		return "file://" + escaped
	}
	return escaped
}
