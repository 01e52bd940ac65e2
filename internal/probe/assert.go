package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/theory/jsonpath"
)

func wants(ranges []string, status int) bool {
	if len(ranges) == 0 {
		return status >= 200 && status < 300
	}
	for _, s := range ranges {
		if from, to, err := statusRange(s); err == nil && from <= status && status <= to {
			return true
		}
	}
	return false
}

// assess holds an answer against what is expected. What is wrong is named by
// the place of the assertion, never by the text that was looked for, which may
// be a secret.
func (p *Prober) assess(t Target, resp *http.Response, body []byte, cut bool, r *Result) {
	if !wants(t.Expect.Status, resp.StatusCode) {
		r.fail(BadStatus, fmt.Sprintf("status %d", resp.StatusCode))
		return
	}
	for i, rule := range t.Expect.Headers {
		values := resp.Header.Values(rule.Name)
		if len(values) == 0 && rule.Lacks == "" {
			r.fail(BadHeader, fmt.Sprintf("expect.headers[%d]: there is no header %s", i, rule.Name))
			return
		}
		if rule.TextRule == (TextRule{}) {
			continue
		}
		if !rule.holds(strings.Join(values, ", ")) {
			r.fail(BadHeader, fmt.Sprintf("expect.headers[%d]: header %s does not hold what it should", i, rule.Name))
			return
		}
	}
	where := ""
	if cut {
		where = fmt.Sprintf(" in its first %d bytes; it is longer", len(body))
	}
	for i, rule := range t.Expect.Body {
		if !rule.holds(string(body)) || rule.Lacks != "" && cut {
			r.fail(BadBody, fmt.Sprintf("expect.body[%d]: the body does not hold what it should%s", i, where))
			return
		}
	}
	if len(t.Expect.JSON) == 0 {
		return
	}
	var value any
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&value); err != nil || dec.More() || cut {
		r.fail(BadBody, fmt.Sprintf("expect.json: the body is not one JSON value%s", where))
		return
	}
	for i, rule := range t.Expect.JSON {
		if why := rule.holds(value); why != "" {
			r.fail(BadBody, fmt.Sprintf("expect.json[%d]: %s: %s", i, rule.Path, why))
			return
		}
	}
}

func (r TextRule) holds(text string) bool {
	switch {
	case r.Contains != "":
		return strings.Contains(text, r.Contains)
	case r.Lacks != "":
		return !strings.Contains(text, r.Lacks)
	case r.Matches != "":
		re, err := regexp.Compile(r.Matches)
		return err == nil && re.MatchString(text)
	}
	return true
}

// holds returns why it does not, or "".
func (r JSONRule) holds(value any) string {
	path, err := jsonpath.Parse(r.Path)
	if err != nil {
		return "it cannot be read"
	}
	found := path.Select(value)
	if len(found) == 0 {
		return "nothing is found"
	}
	if len(r.Equals) == 0 {
		return ""
	}
	var want any
	if err := json.Unmarshal(r.Equals, &want); err != nil {
		return "what it should equal cannot be read"
	}
	for _, v := range found {
		if !reflect.DeepEqual(v, want) {
			return "it is another value"
		}
	}
	return ""
}
