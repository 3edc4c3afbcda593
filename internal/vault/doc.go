// Package vault holds a vault's own settings: its tenant, permission model,
// access policies, retention, purge protection and network rules, and the rules
// by which they may change. Objects live in certificate, key and secret.
package vault
