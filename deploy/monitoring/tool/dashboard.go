package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// query is one line of a panel: an expression and what names its series.
type query struct{ expr, legend string }

// panel is a graph, unless `kind` says otherwise.
type panel struct {
	title, unit, about string
	kind               string
	// From this value on it is red; 0: no limit.
	limit float64
	// Values below the limit are red instead.
	below   bool
	queries []query
}

type board struct {
	uid, title, about string
	rows              []row
}

type row struct {
	title  string
	panels []panel
}

const (
	columns     = 24
	panelWidth  = 8
	panelHeight = 7
	statHeight  = 4
	schema      = 39
)

// hubs limits a selector to the nodes that the variable at the top of the page names.
const hubs = `job="bellhop",instance=~"$instance"`

func expand(expr string) string { return strings.ReplaceAll(expr, "HUBS", hubs) }

func (b board) json() ([]byte, error) {
	var panels []any
	id, y := 1, 0
	for _, row := range b.rows {
		panels = append(panels, map[string]any{
			"id": id, "type": "row", "title": row.title, "collapsed": false, "panels": []any{},
			"gridPos": place(0, y, columns, 1),
		})
		id, y = id+1, y+1
		x, high := 0, 0
		for _, p := range row.panels {
			height := panelHeight
			if p.kind == "stat" {
				height = statHeight
			}
			if x+panelWidth > columns {
				x, y, high = 0, y+high, 0
			}
			panels = append(panels, p.model(id, place(x, y, panelWidth, height)))
			id, x = id+1, x+panelWidth
			high = max(high, height)
		}
		y += high
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	err := out.Encode(map[string]any{
		"uid": b.uid, "title": b.title, "description": b.about, "tags": []string{"bellhop"},
		"schemaVersion": schema, "editable": true, "graphTooltip": 1, "refresh": "30s",
		"time":        map[string]any{"from": "now-6h", "to": "now"},
		"annotations": map[string]any{"list": []any{}},
		"templating":  map[string]any{"list": variables()},
		"panels":      panels,
	})
	return text.Bytes(), err
}

func place(x, y, w, h int) map[string]any { return map[string]any{"x": x, "y": y, "w": w, "h": h} }

func datasource() map[string]any {
	return map[string]any{"type": "prometheus", "uid": "${datasource}"}
}

func variables() []any {
	return []any{
		map[string]any{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0},
		map[string]any{
			"name": "instance", "type": "query", "label": "Node", "datasource": datasource(),
			"query":      map[string]any{"query": `label_values(up{job="bellhop"}, instance)`, "refId": "nodes"},
			"includeAll": true, "allValue": ".*", "multi": true, "refresh": 2, "sort": 1, "hide": 0,
			"current": map[string]any{"text": []string{"All"}, "value": []string{"$__all"}},
		},
	}
}

func (p panel) model(id int, at map[string]any) map[string]any {
	kind := p.kind
	if kind == "" {
		kind = "timeseries"
	}
	var targets []any
	for n, q := range p.queries {
		target := map[string]any{
			"refId": string(rune('A' + n)), "datasource": datasource(), "expr": expand(q.expr), "legendFormat": q.legend,
		}
		if kind == "stat" || kind == "table" {
			target["instant"] = true
		}
		if kind == "heatmap" || kind == "table" {
			target["format"] = kind
		}
		targets = append(targets, target)
	}
	return map[string]any{
		"id": id, "type": kind, "title": p.title, "description": p.about, "gridPos": at, "datasource": datasource(),
		"targets": targets, "options": p.options(kind),
		"fieldConfig": map[string]any{"defaults": p.field(kind), "overrides": []any{}},
	}
}

func (p panel) options(kind string) map[string]any {
	switch kind {
	case "stat":
		return map[string]any{
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
			"colorMode":     "value", "graphMode": "area", "textMode": "auto", "orientation": "auto", "justifyMode": "auto",
			"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
		}
	case "heatmap":
		return map[string]any{
			"calculate": false, "showValue": "never", "yAxis": map[string]any{"unit": p.unit},
			"color": map[string]any{
				"mode": "scheme", "scheme": "Blues", "steps": 64, "fill": "dark-blue", "exponent": 0.5, "reverse": false,
			},
			"legend": map[string]any{"show": true}, "exemplars": map[string]any{"color": "orange"},
			"tooltip": map[string]any{"mode": "single", "yHistogram": false, "showColorScale": true},
		}
	case "table":
		return map[string]any{"showHeader": true, "frameIndex": 0}
	}
	return map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
}

func (p panel) field(kind string) map[string]any {
	good, bad := "green", "red"
	if p.below {
		good, bad = bad, good
	}
	steps := []any{map[string]any{"color": good, "value": nil}}
	if p.limit != 0 {
		steps = append(steps, map[string]any{"color": bad, "value": p.limit})
	}
	field := map[string]any{
		"unit": p.unit, "thresholds": map[string]any{"mode": "absolute", "steps": steps},
	}
	if kind == "timeseries" {
		style := map[string]any{"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
		if p.limit != 0 {
			style["thresholdsStyle"] = map[string]any{"mode": "line"}
		}
		field["custom"], field["min"] = style, 0
	}
	return field
}
