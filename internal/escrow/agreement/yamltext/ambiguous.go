package yamltext

import "strings"

// Ambiguous names what some version of YAML takes the plain scalar s for,
// other than text: "" when every version reads it as text. Such a scalar
// must be quoted where text is meant, or the same file means different things
// to different readers: 01012345 is 267493 to one, 1012345 to another, and a
// register number to its author.
func Ambiguous(s string) string {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return "nothing (null)"
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE",
		"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
		return "true or false"
	case "=", "<<":
		return "a YAML instruction"
	}
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 || body == "" {
		return ""
	}
	switch strings.ToLower(body) {
	case ".inf", "inf", "infinity", ".nan", "nan":
		return "a number"
	}
	first := body[0]
	if first != '.' && (first < '0' || first > '9') {
		return ""
	}
	switch {
	case isDate(s):
		return "a date"
	case hasPrefix(body, "0x") && consists(body[2:], "0123456789abcdefABCDEF_"):
		return "a hexadecimal number"
	case hasPrefix(body, "0o") && consists(body[2:], "01234567_"), hasPrefix(body, "0b") && consists(body[2:], "01_"):
		return "a number"
	case len(body) > 1 && first == '0' && consists(body, "0123456789_"):
		return "an octal number"
	case strings.Contains(body, ":") && consists(body, "0123456789:._"):
		return "a number in base 60"
	case consists(body, "0123456789_"):
		return "a number"
	case isFloat(body):
		return "a number"
	}
	return ""
}

func hasPrefix(s, prefix string) bool {
	return len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func consists(s, of string) bool {
	return s != "" && strings.Trim(s, of) == ""
}

// isFloat accepts what any YAML version does: 1.10, .5, 1., 1e3, 1_0.5.
func isFloat(s string) bool {
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], strings.TrimLeft(s[i+1:], "+-")
		if !consists(exponent, "0123456789") {
			return false
		}
	}
	return consists(mantissa, "0123456789_.") && strings.Count(mantissa, ".") <= 1 && strings.ContainsAny(mantissa, "0123456789")
}

// isDate accepts YAML 1.1 timestamps: a date, alone or with a time.
func isDate(s string) bool {
	date, rest := s, ""
	if i := strings.IndexAny(s, "Tt "); i >= 0 {
		date, rest = s[:i], s[i+1:]
	}
	parts := strings.Split(date, "-")
	if len(parts) != 3 || len(parts[0]) != 4 {
		return false
	}
	for _, p := range parts {
		if len(p) == 0 || len(p) > 4 || !consists(p, "0123456789") {
			return false
		}
	}
	return rest == "" || rest[0] >= '0' && rest[0] <= '9' && strings.Contains(rest, ":")
}
