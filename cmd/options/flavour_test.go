package options

import (
	"strings"
	"testing"
)

// podVars are the variables that K2HDKC's chart gives to a slave's init container.
func podVars(more ...string) []string {
	return append([]string{
		"K2HDKC_POD_NAME=slvpod-orders-0", "K2HDKC_POD_IP=10.1.2.3", "K2HDKC_NAMESPACE=shop", "K2HDKC_NODE_IP=192.168.0.4",
		"K2HDKC_NODE_NAME=n4", "K2HDKC_POD_ID=5e9b", "K2HDKC_POD_SERVICE_ACCOUNT=default", "K2HR3_API_URL=https://r3.shop:443",
	}, more...)
}

// podFiles are those that the init container leaves to the others.
func podFiles() map[string]string {
	return map[string]string{
		"/etc/antpickax/k2hr3-api-url":      "https://r3.shop:443",
		"/etc/antpickax/k2hr3-register-url": "https://r3.shop:443/v1/role",
		"/etc/antpickax/k2hr3-role":         "yrn:yahoo:::shop:role:orders/slave",
		"/etc/antpickax/k2hr3-resource":     "yrn:yahoo:::shop:resource:orders/slave",
	}
}

func TestFlavour(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   map[string]string
		environ []string
		args    []string
		want    Flavour
		by      string
	}{
		{"a VM", map[string]string{"/etc/antpickax/k2hr3-api-uri": "http://r3:80"}, nil, nil, OpenStack, "default"},
		{"a pod's init container", nil, podVars(), nil, Kubernetes, "environment K2HDKC_POD_IP"},
		{"a container beside it", podFiles(), nil, nil, Kubernetes, "/etc/antpickax/k2hr3-resource"},
		{"an older container beside it", map[string]string{"/etc/antpickax/k2hr3-register-url": "x"}, nil, nil, Kubernetes, "/etc/antpickax/k2hr3-register-url"},
		{"somebody knows better", podFiles(), podVars(), []string{"--flavour=openstack"}, OpenStack, "flag --flavour"},
		{"somebody says so", nil, []string{"K2HDKC_SLAVE_FLAVOUR=K8S"}, nil, Kubernetes, "environment K2HDKC_SLAVE_FLAVOUR"},
		{"somebody says auto", nil, podVars(), []string{"--flavour", "auto"}, Kubernetes, "environment K2HDKC_POD_IP"},
	} {
		o := mustLoad(t, system(tt.files, tt.environ...), tt.args...)
		if from := o.Source("flavour"); o.Flavour != tt.want || from.String() != tt.by {
			t.Errorf("%s: %s by %s, want %s by %s", tt.name, o.Flavour, from, tt.want, tt.by)
		}
		shown := false
		for _, s := range o.Settings() {
			shown = shown || s.Option.Key == "flavour" && s.Text == string(tt.want) && s.Source.String() == tt.by
		}
		if !shown && tt.args == nil && !strings.Contains(tt.by, "SLAVE") {
			t.Errorf("%s: the settings do not show it", tt.name)
		}
	}
}

func TestAPodNeedsNoUnitToHaveChmpxRestarted(t *testing.T) {
	if o := mustLoad(t, system(nil, podVars()...), "--restart-unconfirmed=yes"); o.Unit != "" || !o.RestartUnconfirmed {
		t.Errorf("unit %q, restart-unconfirmed %v", o.Unit, o.RestartUnconfirmed)
	}
}

func TestAPodIsDescribedByItsVariables(t *testing.T) {
	for _, tt := range []struct {
		name  string
		vars  []string
		files map[string]string
		args  []string
		api   string
		role  string
		res   string
		by    string // of the role
	}{
		{"the chart", podVars("K2HDKC_CLUSTER_NAME=Orders"), nil, nil,
			"https://r3.shop:443", "yrn:yahoo:::shop:role:orders/slave", "yrn:yahoo:::shop:resource:orders/slave", "environment K2HDKC_CLUSTER_NAME"},
		{"the CLI's spelling", podVars("K2HKDC_CLUSTER_NAME=orders"), nil, nil,
			"https://r3.shop:443", "yrn:yahoo:::shop:role:orders/slave", "yrn:yahoo:::shop:resource:orders/slave", "environment K2HKDC_CLUSTER_NAME"},
		{"a tenant and prefix of its own", podVars("K2HDKC_CLUSTER_NAME=orders", "K2HR3_TENANT=t1", "K2HR3_YRN_PREFIX=yrn:yahoo:svc::"), nil, nil,
			"https://r3.shop:443", "yrn:yahoo:svc::t1:role:orders/slave", "yrn:yahoo:svc::t1:resource:orders/slave", "environment K2HDKC_CLUSTER_NAME"},
		{"the files alone", nil, podFiles(), nil,
			"https://r3.shop:443", "yrn:yahoo:::shop:role:orders/slave", "yrn:yahoo:::shop:resource:orders/slave", "/etc/antpickax/k2hr3-role"},
		{"the files by OpenStack's names", podVars("K2HR3_API_URL="), map[string]string{
			"/etc/antpickax/k2hr3-api-uri": "http://r3:80", "/etc/antpickax/k2hr3-role-name": "yrn:yahoo:::a:role:b"}, nil,
			"http://r3:80", "yrn:yahoo:::a:role:b", "yrn:yahoo:::a:resource:b", "/etc/antpickax/k2hr3-role-name"},
		{"an option beats them", podVars("K2HDKC_CLUSTER_NAME=orders"), podFiles(), []string{"--role=yrn:yahoo:::x:role:y"},
			"https://r3.shop:443", "yrn:yahoo:::x:role:y", "yrn:yahoo:::x:resource:y", "flag --role"},
	} {
		o := mustLoad(t, system(tt.files, tt.vars...), tt.args...)
		if err := o.RequireK2HR3(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if o.APIURI.String() != tt.api || o.Role.String() != tt.role || o.Resource.String() != tt.res || o.Source("role").String() != tt.by {
			t.Errorf("%s: %s, %s by %s, %s", tt.name, o.APIURI, o.Role, o.Source("role"), o.Resource)
		}
		if o.Unit != "" {
			t.Errorf("%s: unit %q", tt.name, o.Unit)
		}
	}
	if o := mustLoad(t, system(nil, podVars()...), "--unit=chmpx.service"); o.Unit != "chmpx.service" {
		t.Errorf("unit %q, want the one that was given", o.Unit)
	}
}

// A pod that has yet to make its CUK waits for nobody.
func TestAPodWithoutCUK(t *testing.T) {
	o := mustLoad(t, system(nil, podVars("K2HDKC_CLUSTER_NAME=orders")...))
	if missing, err := o.Missing(); len(missing) != 0 || err != nil {
		t.Errorf("missing %v, %v", missing, err)
	}
	if o.ResolveTag() != "slvpod-orders-0" {
		t.Errorf("tag %q", o.ResolveTag())
	}
	_, err := o.ResolveCUK()
	wantError(t, err, "CUK is not known yet", "once --register", "/etc/antpickax/k2hr3-cuk")
	o = mustLoad(t, system(podFiles()))
	_, err = o.ResolveCUK()
	wantError(t, err, "the environment does not say K2HDKC_POD_NAME", "/etc/antpickax/k2hr3-cuk")
}

func TestFlavourThatDoesNotFit(t *testing.T) {
	failLoad(t, system(nil), []string{"--user-token-file=/secret/token"}, "flavour = k8s", "openstack (default)")
	failLoad(t, system(nil), []string{"--flavour=kubernetes"}, "is not one of auto, openstack, k8s")
	failLoad(t, system(nil, podVars()...), []string{"--user-token-file=/s/" + token}, "looks like a token itself")
	_, err := Load(verb(t, "user-data"), []string{"--flavour=k8s"}, system(nil))
	wantError(t, err, "user data is for VMs")
	o := mustLoad(t, system(nil, podVars("K2HR3_API_URL=nonsense", "K2HDKC_CLUSTER_NAME=orders")...))
	wantError(t, o.RequireK2HR3(), "environment K2HR3_API_URL", "no scheme")
}
