package document_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// TestEveryWordHasWords goes through the closed words of the whole language,
// by the same tags it is read by: each is in the catalogue in both languages,
// so that no document falls back to a word of the program.
func TestEveryWordHasWords(t *testing.T) {
	kinds := []string{"role", "delivery", "criticality", "takeover_of_connection", "via", "trigger", "licence_holds", "versions", "seats_as_of", "features",
		"dictionary", "cut_over", "pledge", "may", "part_kind", "form", "with", "right", "on_insolvency", "secured_by", "account_takeover", "inspect", "exit_kind",
		"licence_type", "metric", "activation", "fingerprint", "match", "activation_transfer", "entitles", "licence_formats", "requires", "evidence", "channel",
		"majority", "on_silence", "return_cost", "uptime_period", "measure", "empty_interval", "partial_minutes", "gaps", "denominator", "rounding", "exclusion",
		"probe_quorum", "remedy", "credit_share", "clock", "fees_during", "allows", "use_ends", "pays_to", "pays_amount", "pays_else", "insurance", "merger", "encumbrance",
		"at_most_in", "redirects", "cap_of", "claim_from", "sla_remedy", "sla_holidays"}
	// Said by a sentence of their own, or not shown.
	sentences := []string{"agreement/v1", "nl", "en", "beneficiaries", "licences", "true", "false", "unknown", "people", "automatic", "pull", "push", "on_demand",
		"one_case", "separate_cases", "signed", "none", "required", "optional", "destroy", "keep", "party", "component", "arrangement", "truth", "number", "period", "text",
		"scope", "targets", "measuring", "support", "remedies", "security", "data_protection", "exclusions", "continuity", "other"}
	words := 0
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			list := strings.Fields(f.Tag.Get("enum"))
			base := f.Type
			for base.Kind() == reflect.Pointer || base.Kind() == reflect.Slice {
				base = base.Elem()
			}
			if w, ok := reflect.New(base).Elem().Interface().(interface{ Words() []string }); ok {
				list = append(list, w.Words()...)
			}
			for _, word := range list {
				words++
				if slices.Contains(sentences, word) {
					continue
				}
				for _, l := range phrase.Langs() {
					if !slices.ContainsFunc(kinds, func(k string) bool { text, ok := l.Word(k, word); return ok && text != "" }) {
						t.Errorf("%s: %s.%s: no words for %q", l, typ.Name(), f.Name, word)
					}
				}
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[agreement.Agreement]())
	if words < 150 {
		t.Errorf("only %d words were looked at", words)
	}
}
