package daemon

import (
	"context"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
)

// Reload runs with what the configuration's own files say now. Everything else is as with Reconfigure.
func (d *Daemon) Reload(ctx context.Context) (Report, error) {
	_, report, err := d.reload(ctx, nil, change{})
	return report, err
}

// reload applies files, or without any the configuration's own. What is wrong with them changes nothing. What is made at run time
// waits meanwhile: it would be missing in what was read before.
func (d *Daemon) reload(ctx context.Context, files config.Texts, how change) (*config.Config, Report, error) {
	d.routesChange.Lock()
	defer d.routesChange.Unlock()
	if d.opts.Origin != nil && len(files) == 0 && d.promised() == nil {
		d.opts.Origin.reading()
	}
	cfg, refused, err := d.load(files)
	if err != nil {
		d.rejected(err)
		return nil, Report{}, err
	}
	for _, w := range cfg.Warnings {
		d.log.Warn("configuration", "at", w.Pos.String(), "hint", w.Text)
	}
	report, err := d.reconfigure(ctx, cfg, how)
	if err == nil {
		d.opts.Origin.remember(refused)
	}
	return cfg, report, err
}

// load reads files, or without any the configuration's own, and what was made at run time.
func (d *Daemon) load(files config.Texts) (*config.Config, map[string]config.Problems, error) {
	if d.opts.Origin == nil {
		return nil, nil, api.Refuse(api.NotPossible, "this daemon was given its configuration by another program and not by files")
	}
	return d.opts.Origin.read(files)
}

// Configure answers what the API asks of the configuration. It is safe for concurrent use while Run runs. A refusal is an
// *api.Problem.
func (d *Daemon) Configure(ctx context.Context, verb api.ConfigVerb, q api.ConfigRequest) (api.ConfigAnswer, error) {
	var files config.Texts
	for _, f := range q.Files {
		files = append(files, config.Text{Name: f.Name, Text: []byte(f.Text)})
	}
	answer := api.ConfigAnswer{SchemaVersion: api.SchemaVersion, Plan: config.Plan{Gateway: []config.KeyChange{}, Connections: []config.ConnectionChange{}},
		Refused: []string{}, Restarts: []string{}, Warnings: []string{}}
	var cfg *config.Config
	var report Report
	var err error
	switch verb {
	case api.ConfigConfirm:
		return answer, d.Confirm(ctx)
	case api.ConfigCheck:
		cfg, _, err = d.load(files)
	case api.ConfigPlan:
		if cfg, _, err = d.load(files); err == nil {
			report.Plan = d.Plan(cfg)
		}
	default:
		cfg, report, err = d.reload(ctx, files, change{parallel: q.Parallel, confirm: time.Duration(q.ConfirmSeconds) * time.Second})
	}
	if err != nil {
		return answer, refusal(err)
	}
	for _, w := range cfg.Warnings {
		answer.Warnings = append(answer.Warnings, w.String())
	}
	if verb != api.ConfigCheck {
		answer.Plan = report.Plan
	}
	answer.Refused = append(answer.Refused, answer.Plan.Refused()...)
	answer.Restarts = append(answer.Restarts, report.Restarts...)
	answer.ConfirmUntil = d.confirmUntil()
	return answer, nil
}
