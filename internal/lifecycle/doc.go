// Package lifecycle is what certificates, keys and secrets do alike with the head
// of a name: whether it is live, deleted or a certificate's own, its deletion, its
// recovery, its purge, and lists page by page. What a family stores beside its head
// is the family's, which also checks the grants.
package lifecycle
