// Package phrase says what an agreement says in the words of its readers, in
// Dutch and English: amounts, dates, periods, hours, lists, the words of the
// language, and conditions as sentences.
//
// It may import escrow, quantity, cond and cel-go's parser. It does no I/O and
// keeps no state.
package phrase

import (
	"fmt"
	"strings"

	"holdfast/internal/escrow/agreement/quantity"
)

// Lang is a language of documents.
type Lang string

// The languages.
const (
	NL Lang = "nl"
	EN Lang = "en"
)

// Langs lists the languages.
func Langs() []Lang { return []Lang{NL, EN} }

// Pick returns the text in the language.
func (l Lang) Pick(nl, en string) string {
	if l == NL {
		return nl
	}
	return en
}

// F formats the text in the language. Both texts take the same arguments;
// either may leave some out or change their order by index.
func (l Lang) F(nl, en string, args ...any) string {
	format := l.Pick(nl, en)
	if len(args) == 0 {
		return format
	}
	// An argument that one language has no use for is no error: naming the
	// last argument, which prints nothing, makes fmt accept the rest.
	return fmt.Sprintf(fmt.Sprintf("%s%%[%d]s", format, len(args)+1), append(args, tail{})...)
}

// tail is an argument that prints nothing.
type tail struct{}

// Format implements fmt.Formatter.
func (tail) Format(fmt.State, rune) {}

// And joins items with commas and a conjunction: a, b en c; a, b and c.
func (l Lang) And(items []string) string { return l.join(items, l.Pick("en", "and")) }

// Or joins items with commas and or.
func (l Lang) Or(items []string) string { return l.join(items, l.Pick("of", "or")) }

func (l Lang) join(items []string, word string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + word + " " + items[last]
}

// Quote puts the language's quotation marks around a text.
func (l Lang) Quote(s string) string { return "‘" + s + "’" }

// Number writes a whole number: words up to twelve, then digits in groups of
// three from five digits on.
func (l Lang) Number(n int64) string {
	nl := [...]string{"nul", "één", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen", "tien", "elf", "twaalf"}
	en := [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
	if n >= 0 && n < int64(len(nl)) {
		return l.Pick(nl[n], en[n])
	}
	return l.Digits(n)
}

// Digits writes a whole number in digits.
func (l Lang) Digits(n int64) string { return l.group(fmt.Sprint(n)) }

// group puts the separator between groups of three digits of a number that
// has at least five of them.
func (l Lang) group(digits string) string {
	if len(digits) < 5 {
		return digits
	}
	return l.groupAll(digits)
}

func (l Lang) groupAll(digits string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(l.Pick(".", ","))
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Of writes “two of three” as numbers of people or votes.
func (l Lang) Of(n, total int) string {
	return l.F("%s van de %s", "%s of the %s", l.Number(int64(n)), l.Number(int64(total)))
}

// Date writes a day: 1 januari 2027; 1 January 2027.
func (l Lang) Date(d quantity.Date) string {
	if d.Valid() != nil {
		return string(d)
	}
	day := strings.TrimPrefix(string(d[8:10]), "0")
	return day + "\u00a0" + l.month(string(d[5:7])) + "\u00a0" + string(d[:4])
}

// MonthDay writes a day of every year: 1 februari; 1 February.
func (l Lang) MonthDay(d quantity.MonthDay) string {
	if d.Valid() != nil {
		return string(d)
	}
	return strings.TrimPrefix(string(d[3:5]), "0") + "\u00a0" + l.month(string(d[:2]))
}

func (l Lang) month(two string) string {
	nl := [...]string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"}
	en := [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	n := int(two[0]-'0')*10 + int(two[1]-'0')
	return l.Pick(nl[n-1], en[n-1])
}

// MonthName writes the month of a date with its year.
func (l Lang) MonthName(year, month int) string {
	return fmt.Sprintf("%s\u00a0%d", l.month(fmt.Sprintf("%02d", month)), year)
}

// Percent writes a percentage: 99,9%; 99.9%.
func (l Lang) Percent(p quantity.Percent) string { return l.decimalPoint(string(p)) }

func (l Lang) decimalPoint(s string) string {
	if l == NL {
		return strings.Replace(s, ".", ",", 1)
	}
	return s
}

// Money writes an amount: € 3.800; €3,800; CHF 100 for other currencies.
func (l Lang) Money(m quantity.Money) string {
	code, amount, ok := strings.Cut(string(m), " ")
	if !ok {
		return string(m)
	}
	whole, cents, hasCents := strings.Cut(amount, ".")
	number := whole
	if len(whole) > 3 {
		number = l.groupAll(whole)
	}
	if hasCents && strings.Trim(cents, "0") != "" {
		number += l.Pick(",", ".") + cents
	}
	symbol := map[string]string{"EUR": "€", "GBP": "£", "USD": "$"}[code]
	switch {
	case symbol == "":
		return code + "\u00a0" + number
	case l == NL:
		return symbol + "\u00a0" + number
	}
	return symbol + number
}

// Rate writes an amount per unit of time: € 145 per uur; €145 per hour.
func (l Lang) Rate(r quantity.Rate) string {
	amount, unit, ok := strings.Cut(string(r), "/")
	if !ok {
		return string(r)
	}
	per := map[string]string{
		"h": l.Pick("per uur", "per hour"), "d": l.Pick("per dag", "per day"), "w": l.Pick("per week", "per week"),
		"mo": l.Pick("per maand", "per month"), "q": l.Pick("per kwartaal", "per quarter"), "y": l.Pick("per jaar", "per year"),
	}[unit]
	return l.Money(quantity.Money(amount)) + " " + per
}

// Period writes a length of time: tien werkdagen, 24 uur, zes maanden;
// ten business days, 24 hours, six months. The empty period is the empty text.
func (l Lang) Period(p quantity.Period) string {
	n, unit, err := p.Split()
	if err != nil {
		return string(p)
	}
	return l.Number(n) + "\u00a0" + l.unit(n, unit)
}

func (l Lang) unit(n int64, unit quantity.Unit) string {
	one, many := l.units(unit)
	if n == 1 {
		return one
	}
	return many
}

func (l Lang) units(unit quantity.Unit) (one, many string) {
	switch unit {
	case quantity.Millisecond:
		return l.Pick("milliseconde", "millisecond"), l.Pick("milliseconden", "milliseconds")
	case quantity.Second:
		return l.Pick("seconde", "second"), l.Pick("seconden", "seconds")
	case quantity.Minute:
		return l.Pick("minuut", "minute"), l.Pick("minuten", "minutes")
	case quantity.Hour:
		return l.Pick("uur", "hour"), l.Pick("uur", "hours")
	case quantity.Day:
		return l.Pick("dag", "day"), l.Pick("dagen", "days")
	case quantity.Week:
		return l.Pick("week", "week"), l.Pick("weken", "weeks")
	case quantity.Month:
		return l.Pick("maand", "month"), l.Pick("maanden", "months")
	case quantity.Year:
		return l.Pick("jaar", "year"), l.Pick("jaar", "years")
	}
	return l.Pick("werkdag", "business day"), l.Pick("werkdagen", "business days")
}

// Every writes a frequency: elk uur, om de zes uur, jaarlijks; every hour,
// every six hours, every year.
func (l Lang) Every(p quantity.Period) string {
	n, unit, err := p.Split()
	if err != nil {
		return string(p)
	}
	one, many := l.units(unit)
	if l == EN {
		if n == 1 {
			return "every " + one
		}
		return "every " + l.Number(n) + "\u00a0" + many
	}
	if n == 1 {
		switch unit {
		case quantity.Hour, quantity.Year:
			return "elk " + one
		}
		return "elke " + one
	}
	return "elke " + l.Number(n) + "\u00a0" + many
}

// Hours writes opening hours: maandag tot en met vrijdag van 08.00 tot 18.00
// uur; Monday to Friday from 08:00 to 18:00.
func (l Lang) Hours(h quantity.Hours) string {
	if h == "24x7" {
		return l.Pick("24 uur per dag, zeven dagen per week", "24 hours a day, seven days a week")
	}
	spans, err := h.Spans()
	if err != nil {
		return string(h)
	}
	days := [...][2]string{{"maandag", "Monday"}, {"dinsdag", "Tuesday"}, {"woensdag", "Wednesday"}, {"donderdag", "Thursday"},
		{"vrijdag", "Friday"}, {"zaterdag", "Saturday"}, {"zondag", "Sunday"}}
	day := func(i int) string { return l.Pick(days[i][0], days[i][1]) }
	out := make([]string, len(spans))
	for i, s := range spans {
		text := day(s.Days[0])
		if n := len(s.Days); n > 1 {
			text += l.Pick(" tot en met ", " to ") + day(s.Days[n-1])
		}
		out[i] = text + l.F(" van %s tot %s uur", " from %s to %s", l.clock(s.From), l.clock(s.To))
	}
	return l.And(out)
}

func (l Lang) clock(minutes int) string {
	return fmt.Sprintf("%02d%s%02d", minutes/60, l.Pick(".", ":"), minutes%60)
}

// Sentence makes the first letter a capital and ends with a full stop.
func Sentence(s string) string {
	s = Capital(strings.TrimSpace(s))
	// A name that ends with a full stop ends the sentence with it.
	if strings.HasSuffix(s, "..") && !strings.HasSuffix(s, "...") {
		s = strings.TrimSuffix(s, ".")
	}
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, ":") || strings.HasSuffix(s, ".’") {
		return s
	}
	return s + "."
}

// Capital makes the first letter a capital; a leading ij becomes IJ.
func Capital(s string) string {
	if strings.HasPrefix(s, "ij") {
		return "IJ" + s[2:]
	}
	for i, r := range s {
		return s[:i] + strings.ToUpper(string(r)) + s[i+len(string(r)):]
	}
	return s
}
