package broker_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker"
	"github.com/skylarkmq/skylark/broker/auth"
	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestUsersOfABroker are there after a restart, on both ports, in its private folder, and the password that the
// configuration holds is not shown with it.
func TestUsersOfABroker(t *testing.T) {
	b := brokertest.Start(t, func(o *broker.Options) {
		o.AuthenticationMetadataProvider, o.AuthorizationMetadataProvider = auth.UserProvider, auth.ACLProvider
		o.InitAuthenticationUser = `{"username":"first","password":"hush"}`
	})
	for range 2 {
		for _, fast := range []bool{false, true} {
			resp := b.Dial(fast).Call(&protocol.Command{Code: protocol.AuthListUser})
			require.Equal(t, `[{"password":"hush","userStatus":"enable","userType":"Super","username":"first"}]`, string(resp.Body), resp.Remark)
		}
		resp := b.Dial(false).Call(&protocol.Command{Code: protocol.GetBrokerConfig})
		require.Contains(t, string(resp.Body), "brokerName=")
		require.NotContains(t, string(resp.Body), "hush")
		require.FileExists(t, filepath.Join(b.Options.Store.StorePathRootDir, "skylark", "auth.json"))
		b.Restart()
	}
}
