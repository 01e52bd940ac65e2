package document

import (
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

func roleOf(p *agreement.Party) escrow.Role { return escrow.Role(p.Role) }
