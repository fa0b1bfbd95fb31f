// The control service's messages from and to the plain views. Only the service and the client
// include this: nobody else sees protobuf.
#pragma once

#include "fallow/v1/control.pb.h"
#include "node/views.h"

namespace fallow::node {

void write(const NodeView& view, v1::Node* message);
void write(const VmView& view, v1::Vm* message);
void write(const Explanation& view, v1::ExplainVmResponse* message);
void write(const PolicyView& view, v1::Policy* message);
void write(const QuotaRequest& view, v1::QuotaRequest* message);
void write(const QuotaView& view, v1::NamedQuota* message);

NodeView read(const v1::Node& message);
VmView read(const v1::Vm& message);
void write(const ClientView& view, v1::Client* message);
ClientView read(const v1::Client& message);
Explanation read(const v1::ExplainVmResponse& message);
PolicyView read(const v1::Policy& message);
QuotaRequest read(const v1::QuotaRequest& message);
QuotaView read(const v1::NamedQuota& message);

}  // namespace fallow::node
