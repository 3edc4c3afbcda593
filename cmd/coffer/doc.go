// Command coffer is a certificate vault that speaks the Azure Key Vault REST
// API, and the tool of its operator: flags, what is printed, and exit codes.
//
// A running vault is put together by package daemon; what the operator changes is
// done by package admin, in the server or, when there is none, in this process.
package main
