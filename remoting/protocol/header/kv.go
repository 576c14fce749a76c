package header

// PutKVConfigRequest is the header of PUT_KV_CONFIG (100). Java: PutKVConfigRequestHeader.
type PutKVConfigRequest struct {
	Namespace string `rmq:"namespace,required"`
	Key       string `rmq:"key,required"`
	Value     string `rmq:"value,required"`
}

// GetKVConfigRequest is the header of GET_KV_CONFIG (101). Java: GetKVConfigRequestHeader.
type GetKVConfigRequest struct {
	Namespace string `rmq:"namespace,required"`
	Key       string `rmq:"key,required"`
}

// GetKVConfigResponse is the reply to GET_KV_CONFIG. Java: GetKVConfigResponseHeader.
type GetKVConfigResponse struct {
	Value string `rmq:"value"`
}

// DeleteKVConfigRequest is the header of DELETE_KV_CONFIG (102). Java: DeleteKVConfigRequestHeader.
type DeleteKVConfigRequest struct {
	Namespace string `rmq:"namespace,required"`
	Key       string `rmq:"key,required"`
}

// GetKVListByNamespaceRequest is the header of GET_KVLIST_BY_NAMESPACE (219).
// Java: GetKVListByNamespaceRequestHeader.
type GetKVListByNamespaceRequest struct {
	Namespace string `rmq:"namespace,required"`
}
