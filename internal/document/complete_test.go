package document_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/document"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// change is one field with another value.
type change struct {
	path  string
	apply func(*agreement.Agreement)
}

// changes lists every field of an agreement with another value: words of a
// closed set become another word, and what is absent becomes present.
func changes(a *agreement.Agreement) []change {
	var out []change
	var walk func(v reflect.Value, path string, at []int)
	walk = func(v reflect.Value, path string, at []int) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path, append(slices.Clone(at), -1))
			}
		case reflect.Slice:
			for i := range v.Len() {
				if v.Index(i).Kind() == reflect.Struct {
					walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), append(slices.Clone(at), i))
				}
			}
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Type().Field(i)
				if !f.IsExported() {
					continue
				}
				key, options, _ := strings.Cut(f.Tag.Get("key"), ",")
				here := append(slices.Clone(at), i)
				if strings.Contains(options, "inline") {
					walk(v.Field(i), path, here)
					continue
				}
				name := strings.TrimPrefix(path+"."+key, ".")
				walk(v.Field(i), name, here)
				if !leaf(f.Type) && !(f.Type.Kind() == reflect.Pointer && v.Field(i).IsNil()) || f.Tag.Get("id") != "" {
					continue
				}
				if f.Tag.Get("ref") != "" && !strings.Contains(f.Tag.Get("ref"), "party") {
					continue // another id would name nothing
				}
				if v.Type().Name() == "Module" && f.Type.Kind() == reflect.Pointer {
					continue // a module has one kind
				}
				out = append(out, change{name, func(a *agreement.Agreement) {
					target := reflect.ValueOf(a).Elem()
					for _, n := range here {
						switch {
						case n < 0:
							target = target.Elem()
						case target.Kind() == reflect.Slice:
							target = target.Index(n)
						default:
							target = target.Field(n)
						}
					}
					other(target, f.Tag)
				}})
			}
		}
	}
	walk(reflect.ValueOf(a).Elem(), "", nil)
	return out
}

func leaf(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String
	case reflect.Pointer:
		return t.Elem().Kind() == reflect.Bool || t.Elem().Kind() == reflect.Int
	case reflect.Map:
		return true
	}
	return false
}

// other gives v another value.
func other(v reflect.Value, tag reflect.StructTag) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 2)
	case reflect.String:
		v.SetString(otherText(v, tag))
	case reflect.Slice:
		item := reflect.New(v.Type().Elem()).Elem()
		if item.Kind() == reflect.Struct {
			for i := range item.NumField() {
				other(item.Field(i), item.Type().Field(i).Tag)
			}
		} else {
			for {
				item.SetString(otherText(item, tag))
				same := false
				for i := range v.Len() {
					same = same || v.Index(i).String() == item.String()
				}
				if !same || len(strings.Fields(tag.Get("enum"))) <= v.Len() {
					break
				}
			}
		}
		v.Set(reflect.Append(v, item))
	case reflect.Pointer:
		if v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			other(fresh.Elem(), tag)
			v.Set(fresh)
			return
		}
		other(v.Elem(), tag)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for it := v.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), it.Value())
		}
		key := "xx_new"
		if keys := strings.Fields(tag.Get("keys")); len(keys) > 0 {
			key = keys[len(keys)-1]
		}
		item := reflect.New(v.Type().Elem()).Elem()
		other(item, "")
		m.SetMapIndex(reflect.ValueOf(key), item)
		v.Set(m)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				other(v.Field(i), v.Type().Field(i).Tag)
			}
		}
	}
}

// otherText is another text of the same type.
func otherText(v reflect.Value, tag reflect.StructTag) string {
	words := strings.Fields(tag.Get("enum"))
	if w, ok := reflect.New(v.Type()).Elem().Interface().(interface{ Words() []string }); ok {
		words = w.Words()
	}
	if len(words) > 0 {
		i := slices.Index(words, v.String())
		return words[(i+1)%len(words)]
	}
	ref := tag.Get("ref")
	switch {
	case strings.Contains(ref, "party"):
		if v.String() == "agent" {
			return "curator"
		}
		return "agent"
	case strings.Contains(tag.Get("is"), "expression"):
		return `statement("curator", "will_not_perform")`
	}
	for _, sample := range samples(v.Type().Name()) {
		if sample != v.String() {
			return sample
		}
	}
	return v.String() + "andersx"
}

func samples(name string) []string {
	switch name {
	case "Period":
		return []string{"17d", "19d"}
	case "Percent":
		return []string{"77.5%", "66.5%"}
	case "Money":
		return []string{"EUR 1234", "EUR 4321"}
	case "Rate":
		return []string{"EUR 1234/w", "EUR 4321/w"}
	case "Date":
		return []string{"2031-05-17", "2032-06-18"}
	case "MonthDay":
		return []string{"05-17", "06-18"}
	case "Hours":
		return []string{"sat 10:00-11:00", "sun 10:00-11:00"}
	case "Moment":
		return []string{"release", "insolvency"}
	case "Calendar":
		return []string{"be", "fr"}
	}
	return nil
}

// TestNothingAgreedIsMissing changes every field of the three examples, one by
// one, and looks whether some part says something else then, in both
// languages: a promise that no document says would be signed unread. What is
// left out on purpose is listed with its reason.
func TestNothingAgreedIsMissing(t *testing.T) {
	leftOut := regexp.MustCompile(strings.Join([]string{
		`^(holdfast|id|version|replaces|language)$`, // identity, shown in the head of a document or chosen by its reader
		`^release\.tests`,                       // cases the text was tried on; they promise nothing
		`^parts\[`,                              // the head, the parties and the signatures of a document; tested with parts
		`\.(cut_over|infrastructure)$`,          // named where the standby environment stands; the id would name nothing
		`^parties\[\d+\]\.(signs|independent)$`, // said where it differs from what the role implies
		`for_each$`,                             // changes which parts there are
		`^parties\[1[1-4]\]`,                    // in municipalities: customers like gem-a, whose parts are not built here
		`\.(decide|open|gaps|rounding|mode)$`,   // absent and its default word say the same
		`\.(in_escrow|reason)$`,                 // true is the default; a reason is given only with false
		`credits\.(remedy|base\.share)$`,        // absent and its default word say the same
		`term\.end$`,                            // beside lasts
		`passes_to$`,                            // only with ends_on
		`repository\.(url|include)$`,            // of url and organisation one is there; include belongs to the latter
		`keys\[\d+\]\.holder$`,                  // only where a compartment is opened on demand
		`claims\.decide\.majority$`,             // beside votes
		`facts\[\d+\]\.(about|kind)$`,           // how conditions may use the fact
		`stages\[\d+\]\.(to|audience)$`,         // to says nothing where nothing is opened; a second mention of a party says nothing
	}, "|"))
	// Every field takes a minute of work: the suite tries one in twenty, and
	// the campaign all of them.
	every := 20
	if os.Getenv("HOLDFAST_TEST_CAMPAIGN") != "" {
		every = 1
	}
	tried := 0
	for _, name := range examples() {
		a := example(t, name)
		was := partTexts(t, a, nil)
		for i, c := range changes(a) {
			if leftOut.MatchString(c.path) || i%every != 0 {
				continue
			}
			tried++
			now := a.Narrowed(c.apply)
			for _, l := range phrase.Langs() {
				if !differs(t, now, was, l) {
					t.Errorf("%s: no %s text says %s", name, l, c.path)
				}
			}
		}
	}
	t.Logf("%d fields", tried)
}

// partTexts is the words of one part of each template.
func partTexts(t *testing.T, a *agreement.Agreement, _ []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, id := range representative(a) {
		for _, l := range phrase.Langs() {
			if d, err := document.Part(a, id, l); err == nil {
				out[id+string(l)] = words(d)
			}
		}
	}
	return out
}

func words(d *document.Document) string {
	var out []string
	for _, b := range d.Blocks {
		out = append(out, b.Words()...)
	}
	return d.Title + d.Subtitle + strings.Join(out, "\n")
}

func representative(a *agreement.Agreement) []string {
	var out []string
	for _, id := range part.IDs(a) {
		if !strings.HasSuffix(id, "gem-c") && !strings.HasSuffix(id, "gem-d") && !strings.HasSuffix(id, "sv-e") && !strings.HasSuffix(id, "gem-b") {
			out = append(out, id)
		}
	}
	return out
}

// differs builds only the parts whose digest changes, frame first.
func differs(t *testing.T, now *agreement.Agreement, was map[string]string, l phrase.Lang) bool {
	t.Helper()
	for _, id := range representative(now) {
		before, known := was[id+string(l)]
		d, err := document.Part(now, id, l)
		if err != nil {
			continue // it names what is not there; another part may say it
		}
		if !known || words(d) != before {
			return true
		}
	}
	return false
}
