package keyvault

import (
	"strings"

	"coffer/internal/fault"
)

// apiVersion is the api-version of one request. The zero value is none.
type apiVersion struct {
	text string // as the caller wrote it: links repeat it
	rank int    // index into apiVersions
}

// apiVersions are the versions that are accepted, oldest first; a preview comes
// before its stable release (contract certificates.md, 3; keys.md, 3;
// secrets.md, 2; errors.md, 5). Every operation runs under each of them; they
// differ in the members that are shown and read.
var apiVersions = []string{
	"2015-06-01", "2016-10-01",
	"7.0-preview", "7.0", "7.1-preview", "7.1", "7.2-preview", "7.2", "7.3-preview", "7.3",
	"7.4-preview.1", "7.4", "7.5-preview.1", "7.5", "7.6-preview.1", "7.6-preview.2", "7.6",
	"2025-06-01-preview", "2025-07-01",
	"2026-01-01-preview", "2026-03-01-preview", "2026-04-01", "2026-05-01-preview", "2026-07-01-preview",
}

// feature is something on the wire that appears with a version.
type feature struct{ since int }

func from(version string) feature {
	for i, v := range apiVersions {
		if v == version {
			return feature{i}
		}
	}
	panic("keyvault: no such api-version: " + version)
}

// What the versions brought.
var (
	modernNames        = from("7.0") // P-256K instead of SECP256K1; includePending, cert_transparency
	customizedKeys     = from("7.0") // the Customized recovery levels in keys and secrets (keys.md, 3; secrets.md, 2)
	customizedLevels   = from("7.1") // and in certificates (certificates.md, 13.3)
	recoverableDays    = from("7.1")
	exportableKeys     = from("7.3")
	hsmPlatform        = from("7.5")
	preserveCertOrder  = from("7.6-preview.2")
	uriAndIPNames      = from("2025-06-01-preview") // read from then on, shown always
	secretConversion   = from("2025-06-01-preview") // outContentType, previousVersion
	octKeySize         = from("2026-01-01-preview") // key_size in the attributes of symmetric keys
	platformManaged    = from("2026-03-01-preview")
	recommendedVersion = "2025-07-01" // the recorded refusal names it
)

func (v apiVersion) has(f feature) bool { return v.rank >= f.since }

// parseAPIVersion reads the api-version. newer admits date versions above the
// newest known one, which they are treated as.
func parseAPIVersion(text string, newer bool) (apiVersion, error) {
	if text == "" {
		return apiVersion{}, &fault.Error{Kind: fault.Invalid, Field: "api-version", Msg: "api-version must be specified"}
	}
	for i := len(apiVersions) - 1; i >= 0; i-- {
		if strings.EqualFold(apiVersions[i], text) {
			return apiVersion{text, i}, nil
		}
	}
	last := len(apiVersions) - 1
	if newer && isDateVersion(text) && strings.ToLower(text) > apiVersions[last] {
		return apiVersion{text, last}, nil
	}
	return apiVersion{}, &fault.Error{Kind: fault.Invalid, Field: "api-version", Msg: "The specified version (" + excerpt(text) +
		") is not recognized. Consider using the latest supported version (" + recommendedVersion + ")."}
}

// isDateVersion reports whether s is YYYY-MM-DD, with -preview or without.
func isDateVersion(s string) bool {
	const form = "dddd-dd-dd"
	s = strings.TrimSuffix(strings.ToLower(s), "-preview")
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		if digit := s[i] >= '0' && s[i] <= '9'; digit != (form[i] == 'd') || !digit && s[i] != '-' {
			return false
		}
	}
	return true
}
