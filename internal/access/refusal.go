package access

import (
	"net/netip"

	"coffer/internal/fault"
	"coffer/internal/object"
	"coffer/internal/vault"
)

// helpLink ends the refusals by access policies, as recorded from the service.
const helpLink = " For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"

func forbidden(reason fault.Reason, msg string) *fault.Error {
	return &fault.Error{Kind: fault.Forbidden, Reason: reason, Msg: msg}
}

// place is the vault as refusals name it.
func place(v *vault.Vault) string { return v.Name + ";location=" + v.Location }

// refuseByPolicy is contract access-control.md, 9.2.
func refuseByPolicy(c Caller, a Action, v *vault.Vault) *fault.Error {
	return forbidden(fault.ForbiddenByPolicy, "The user, group or application '"+c.counted()+"' does not have "+
		string(a.Family())+" "+rows[a].permissions[0]+" permission on key vault '"+place(v)+"'."+helpLink)
}

// refuseCompound is 9.3: every entry for this caller is for a user through an
// application, and this is not such a token.
func refuseCompound(c Caller) *fault.Error {
	return forbidden(fault.ForbiddenByPolicy, "The policy requires the caller '"+c.String()+
		"' to use on-behalf-of (OBO) flow."+helpLink)
}

// refuseByRole is 9.4. assignment is the one whose condition refused, or "".
func refuseByRole(c Caller, a Action, name object.Name, v *vault.Vault, assignment string) *fault.Error {
	resource := "/subscriptions/" + v.Subscription + "/resourcegroups/" + v.ResourceGroup +
		"/providers/microsoft.keyvault/vaults/" + v.Name
	if a.OnObject() && !name.IsZero() {
		resource += "/" + string(a.Family()) + "/" + name.String()
	}
	reason := "DeniedByCondition"
	if assignment == "" {
		assignment, reason = "(not found)", "DeniedWithNoValidRBAC"
	}
	return forbidden(fault.ForbiddenByRbac, "Caller is not authorized to perform action on resource.\r\n"+
		"If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n"+
		"Caller: "+c.String()+"\r\n"+
		"Action: '"+a.DataAction()+"'\r\n"+
		"Resource: '"+resource+"'\r\n"+
		"Assignment: "+assignment+"\r\n"+
		"DenyAssignmentId: null\r\n"+
		"DecisionReason: '"+reason+"' \r\n"+
		"Vault: "+place(v)+"\r\n")
}

// refuseAddress is 9.5, first two rows.
func refuseAddress(c Caller, v *vault.Vault, addr netip.Addr) *fault.Error {
	first := "Client address is not authorized and caller is not a trusted service."
	if v.Network.BypassNone {
		first = "Request was not allowed by NSP rules and the client address is not authorized " +
			"and caller was ignored because bypass is set to None"
	}
	return forbidden(fault.ForbiddenByFirewall, first+"\r\nClient address: "+addr.String()+
		"\r\nCaller: "+c.String()+"\r\nVault: "+place(v))
}

// refuseConnection is 9.5, third row.
func refuseConnection(c Caller, v *vault.Vault) *fault.Error {
	return forbidden(fault.ForbiddenByConnection, "Public network access is disabled and request is not from "+
		"a trusted service nor via an approved private link.\r\nCaller: "+c.String()+"\r\nVault: "+place(v))
}

// refuseManagement is contract management.md, 5: the words of the resource manager.
func refuseManagement(c Caller, action, scope string) *fault.Error {
	client := c.AppID
	if c.UPN != "" {
		client = c.UPN
	}
	return forbidden(fault.ForbiddenByRbac, "The client '"+client+"' with object id '"+c.ObjectID+
		"' does not have authorization to perform action '"+action+"' over scope '"+scope+
		"' or the scope is invalid. If access was recently granted, please refresh your credentials.")
}

// refuseKind is for callers that an action is not for at all, whatever rights they
// have.
func refuseKind(a Action) *fault.Error {
	return forbidden("", "The operation "+a.Operation()+" is not open to this caller.")
}
