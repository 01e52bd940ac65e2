package check_test

import "holdfast/internal/escrow/agreement"

func language(l string) agreement.Language { return agreement.Language(l) }
