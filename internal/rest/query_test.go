package rest

import "testing"

func TestQueryNamesAreDecoded(t *testing.T) {
	q := ParseQuery("API%2Dversion=7.4&%24skiptoken=a%2Bb&maxresults=2&maxresults=3&IncludePending=true&request_id=x+y&outContentType=a/b&z&=&%zz=1")
	for name, want := range map[string]string{
		"api-version": "7.4", "$skiptoken": "a+b", "maxresults": "2", "includePending": "true", "request_id": "x y", "outContentType": "a/b", "nothing": "",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if q := ParseQuery("api-version=7.4&api-version=7.5"); !q.Ambiguous(APIVersion) {
		t.Error("two versions pass")
	}
	if q := ParseQuery("api-version=7.6-preview.2&API-VERSION=7.6-PREVIEW.2"); q.Ambiguous(APIVersion) {
		t.Error("the same version twice does not pass")
	}
	if q := ParseQuery("api-version=&api-version=7.4&x=1"); q.Ambiguous(APIVersion) || q.Get(APIVersion) != "7.4" {
		t.Error("an empty version counts")
	}
	if q := ParseQuery("maxresults=%zz"); q.Get(MaxResults) != "%zz" {
		t.Errorf("got %q", q.Get(MaxResults))
	}
}
