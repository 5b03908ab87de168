package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"twinbore/config"
)

// A ConfigVerb is what can be asked of the configuration.
type ConfigVerb string

// The verbs, each posted to /v1/config:VERB.
const (
	ConfigCheck   ConfigVerb = "check"   // is it valid?
	ConfigPlan    ConfigVerb = "plan"    // what would apply do?
	ConfigApply   ConfigVerb = "apply"   // run with it
	ConfigReload  ConfigVerb = "reload"  // run with what the daemon's own files say now
	ConfigConfirm ConfigVerb = "confirm" // keep what was applied for a time
)

var configVerbs = []ConfigVerb{ConfigCheck, ConfigPlan, ConfigApply, ConfigReload, ConfigConfirm}

// MaxConfirm is how long an applied configuration can wait to be confirmed, at most.
const MaxConfirm = 24 * time.Hour

// A ConfigRequest says which configuration is meant, and how it is to be applied.
type ConfigRequest struct {
	// Files are read instead of the daemon's own, for check, plan and apply; none: the daemon's own. Only root and the daemon's
	// own user may send some: a configuration says what the daemon runs and which files it reads.
	Files []ConfigFile `json:"files"`
	// ConfirmSeconds, if not 0, is after how long the configuration before comes back unless a confirm comes first; of apply.
	ConfirmSeconds int64 `json:"confirm_seconds"`
	Parallel       bool  `json:"parallel"` // restart both tunnels of a connection at once; of apply and reload
}

// A ConfigFile is one file as it was read by who asks. Its name is for messages, and what stands beside it is named from there.
type ConfigFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A ConfigAnswer says what came of it.
type ConfigAnswer struct {
	SchemaVersion int         `json:"schemaVersion"`
	Plan          config.Plan `json:"plan"`
	Refused       []string    `json:"refused"`       // keys that only a restart of the gateway can change
	Restarts      []string    `json:"restarts"`      // tunnels that are being restarted, in order
	Warnings      []string    `json:"warnings"`      // what the author of the configuration should know
	ConfirmUntil  *time.Time  `json:"confirm_until"` // the configuration before comes back then, unless a confirm comes first
}

// check refuses what no daemon can do.
func (q ConfigRequest) check(verb ConfigVerb) error {
	switch wait := time.Duration(q.ConfirmSeconds) * time.Second; {
	case q.ConfirmSeconds < 0 || q.ConfirmSeconds > int64(MaxConfirm/time.Second):
		return fmt.Errorf("to be confirmed within %v: it is from 1s to %v", wait, MaxConfirm)
	case q.ConfirmSeconds > 0 && verb != ConfigApply:
		return fmt.Errorf("only apply waits to be confirmed, and not %s", verb)
	case len(q.Files) > 0 && (verb == ConfigReload || verb == ConfigConfirm):
		return fmt.Errorf("%s takes no files", verb)
	}
	return nil
}

// Config asks something of the configuration. A *Problem is what the daemon refused it with.
func (c *Client) Config(ctx context.Context, verb ConfigVerb, q ConfigRequest) (ConfigAnswer, []byte, error) {
	if err := q.check(verb); err != nil {
		return ConfigAnswer{}, nil, err
	}
	body, err := json.Marshal(q)
	if err != nil {
		return ConfigAnswer{}, nil, err
	}
	if len(body) > maxBody {
		return ConfigAnswer{}, nil, fmt.Errorf("the files are too large to be sent: %d octets, and %d are allowed; give the daemon the files and reload", len(body), maxBody)
	}
	raw, err := c.do(ctx, http.MethodPost, "/v1/config:"+string(verb), body...)
	if err != nil {
		return ConfigAnswer{}, nil, err
	}
	var got ConfigAnswer
	if err := json.Unmarshal(raw, &got); err != nil {
		return ConfigAnswer{}, nil, fmt.Errorf("daemon at %s: its answer is not a result: %w", c.socket, err)
	}
	return got, raw, nil
}

// config answers one of the verbs. Asking is not logged, changing is.
func (s *Server) config(verb ConfigVerb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q ConfigRequest
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if r.ContentLength != 0 && decoder.Decode(&q) != nil { // what is wrong may quote a secret
			Refuse(BadRequest, fmt.Sprintf(`the body is not {"files": [{"name": text, "text": text}], "confirm_seconds": number, "parallel": truth}, of %d octets at most`, maxBody)).write(w)
			return
		}
		if err := q.check(verb); err != nil {
			Refuse(BadRequest, err.Error()).write(w)
			return
		}
		who, _ := caller(r.Context())
		if len(q.Files) > 0 && !who.owner() {
			Refuse(PermissionDenied, "only root and the daemon's own user may send a configuration; the group of the socket may reload the daemon's own files").write(w)
			return
		}
		got, err := s.cfg.Config(r.Context(), verb, q)
		if verb != ConfigCheck && verb != ConfigPlan {
			s.cfg.Log.Info("operator action", "action", "config "+string(verb), "files", len(q.Files), "uid", who.uid, "result", result(err))
		}
		if err != nil {
			problem(err).write(w)
			return
		}
		answer(w, got)
	}
}

// owner reports whether who is root or the daemon's own user.
func (who credential) owner() bool { return who.uid == 0 || int(who.uid) == os.Geteuid() }
