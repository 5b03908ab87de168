package api

import (
	"encoding/json"
	"net/http"
)

// A Problem is a refused request (RFC 9457). Reason is a stable code for programs.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// Reasons of problems.
const (
	NotFound         = "NOT_FOUND"
	BadRequest       = "BAD_REQUEST"
	PermissionDenied = "PERMISSION_DENIED"
	NotUp            = "NOT_UP"        // what was asked for needs a tunnel that is UP
	Conflict         = "CONFLICT"      // it cannot be beside what is there; detail says what
	NotKept          = "NOT_KEPT"      // what was asked for could not be kept, and has not been done
	NotPossible      = "NOT_POSSIBLE"  // the daemon cannot do it as things are set up
	Invalid          = "INVALID"       // the document; detail says everything that is wrong
	Exists           = "EXISTS"        // there is something of that name already
	ReadOnly         = "READ_ONLY"     // it stands in a file
	InUse            = "IN_USE"        // others need it; detail names them
	NeedsRestart     = "NEEDS_RESTART" // only a restart of the gateway can do it, and nothing was done
	ShuttingDown     = "SHUTTING_DOWN" // the daemon is about to end
	Busy             = "BUSY"          // too many ask for the same
)

var statuses = map[string]int{
	NotFound:         http.StatusNotFound,
	BadRequest:       http.StatusBadRequest,
	PermissionDenied: http.StatusForbidden,
	NotUp:            http.StatusConflict,
	Conflict:         http.StatusConflict,
	NotKept:          http.StatusInsufficientStorage,
	NotPossible:      http.StatusConflict,
	Invalid:          http.StatusUnprocessableEntity,
	Exists:           http.StatusConflict,
	ReadOnly:         http.StatusConflict,
	InUse:            http.StatusConflict,
	NeedsRestart:     http.StatusConflict,
	ShuttingDown:     http.StatusServiceUnavailable,
	Busy:             http.StatusServiceUnavailable,
}

// Refuse returns the problem for one of the reasons above; detail is for a person.
func Refuse(reason, detail string) *Problem {
	status := statuses[reason]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Reason: reason}
}

func (p *Problem) Error() string { return p.Detail }

func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		panic("bug: a problem does not marshal: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n')) // the client is gone if this fails
}
