package seal

import (
	"filippo.io/age"

	"holdfast/evidence"
)

// ShareFixed fills in a manifest and returns the share texts for given
// polynomials, so that the published vectors do not depend on randomness.
func ShareFixed(m *evidence.KeyManifest, values, blinds [][]evidence.Bytes32) ([][]byte, error) {
	secrets := make([]dealt, len(values))
	for i := range values {
		for j := range values[i] {
			v, err := parseScalar(values[i][j])
			if err != nil {
				return nil, err
			}
			b, err := parseScalar(blinds[i][j])
			if err != nil {
				return nil, err
			}
			secrets[i].values, secrets[i].blinds = append(secrets[i].values, v), append(secrets[i].blinds, b)
		}
	}
	return share(m, secrets)
}

// Layout exports the numbering of a ceremony.
func (c Ceremony) Layout() ([]evidence.Part, []evidence.TrusteeEntry, error) { return c.layout() }

// IdentityOf derives a release identity from a scalar.
func IdentityOf(scalar evidence.Bytes32, arrangement, compartment string, epoch int) (*age.HybridIdentity, error) {
	s, err := parseScalar(scalar)
	if err != nil {
		return nil, err
	}
	return releaseIdentity(s, arrangement, compartment, epoch)
}

// SeedIdentity is the age identity with the given 32-byte seed.
func SeedIdentity(seed [32]byte) (*age.HybridIdentity, error) { return seedIdentity(seed[:]) }

// GeneratorH exports the second generator.
func GeneratorH() evidence.Bytes32 { return encode(generatorH()) }
