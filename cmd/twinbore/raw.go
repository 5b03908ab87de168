package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gopkg.in/yaml.v3"
)

// writeRaw writes an answer of the daemon, which is JSON, for programs: as json or yaml.
func (a *app) writeRaw(format string, raw []byte) error {
	if format == "yaml" {
		text, err := yamlOf(raw)
		if err != nil {
			return err
		}
		_, err = a.out.Write(text)
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, out.String())
	return err
}

// yamlOf writes JSON, which is YAML already, the way that people write YAML; the order of the keys stays.
func yamlOf(raw []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var block func(*yaml.Node)
	block = func(n *yaml.Node) {
		n.Style &^= yaml.FlowStyle | yaml.DoubleQuotedStyle
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "" {
			n.Style = yaml.DoubleQuotedStyle
		}
		for _, child := range n.Content {
			block(child)
		}
	}
	block(&doc)
	return yaml.Marshal(&doc)
}
