// Package vault holds a vault's own settings: its tenant, permission model,
// access policies, retention, purge protection and network rules, and the bounds
// within which they may change. Who may change them is management's business;
// objects live in certificate, key and secret.
package vault
