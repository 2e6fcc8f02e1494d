//! Listeners, connections and requests.

use super::reasons::{BUFFERS, CLUSTER, IN_WORK, QUORUM, SECURITY};
use super::table;

table! {
    Broker SOCKETS
    "listeners": List = Some("PLAINTEXT://127.0.0.1:9092"), Any, High, ReadOnly;
        "Addresses to listen on, NAME://host:port; an empty host is every interface. Kafka changes them while it runs; here they need a restart.";
    "advertised.listeners": List = None, Any, High, ReadOnly;
        "Addresses told to clients; the listeners when not set.";
    "listener.security.protocol.map": String = Some("PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"), Any, Low, ReadOnly;
        "Security protocol of each listener name. Kafka changes it while it runs; here it needs a restart.";
    "inter.broker.listener.name": String = None, Any, Medium, ReadOnly, CLUSTER;
        "Listener for traffic between brokers.";
    "security.inter.broker.protocol": String = Some("PLAINTEXT"), OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly, CLUSTER;
        "Security protocol between brokers, when no listener is named for it.";
    "controller.listener.names": List = None, Any, High, ReadOnly, QUORUM;
        "Listeners for controllers; they are not opened.";
    "socket.send.buffer.bytes": Int = Some("102400"), Any, High, ReadOnly, BUFFERS;
        "SO_SNDBUF of connections; -1 leaves it to the system.";
    "socket.receive.buffer.bytes": Int = Some("102400"), Any, High, ReadOnly, BUFFERS;
        "SO_RCVBUF of connections; -1 leaves it to the system.";
    "socket.request.max.bytes": Int = Some("104857600"), AtLeast(1), High, ReadOnly;
        "Largest request a connection may send; a larger one closes it, and so does any but Produce of more than a sixteenth of bourn.memory.max.bytes.";
    "socket.listen.backlog.size": Int = Some("50"), AtLeast(1), Medium, ReadOnly;
        "Connections waiting to be accepted.";
    "max.connections": Int = Some("2147483647"), AtLeast(0), Medium, ClusterWide;
        "Most connections of this broker; those above it wait until one ends.";
    "max.connections.per.ip": Int = Some("2147483647"), AtLeast(0), Medium, ClusterWide;
        "Most connections from one address; those above it are closed.";
    "max.connections.per.ip.overrides": String = Some(""), PerIpOverrides, Medium, ClusterWide;
        "Exceptions to max.connections.per.ip, address:number,...; names of hosts are not looked up.";
    "max.connection.creation.rate": Int = Some("2147483647"), AtLeast(0), Medium, ClusterWide;
        "Most new connections a second, over ten seconds; those above it wait to be accepted.";
    "connections.max.idle.ms": Long = Some("600000"), Any, Medium, ReadOnly;
        "Close a connection that was silent for so long.";
    "queued.max.requests": Int = Some("500"), AtLeast(1), High, ReadOnly, IN_WORK;
        "Requests in work before sockets are read no further.";
    "queued.max.request.bytes": Long = Some("-1"), Any, Medium, ReadOnly;
        "Bytes of requests in work before sockets are read no further; -1 leaves it to the memory budget.";
    "socket.connection.setup.timeout.ms": Long = Some("10000"), Any, Medium, ReadOnly, CLUSTER;
        "How long to wait for a connection to another node.";
    "socket.connection.setup.timeout.max.ms": Long = Some("30000"), Any, Medium, ReadOnly, CLUSTER;
        "Longest wait for a connection to another node.";
    "connection.failed.authentication.delay.ms": Int = Some("100"), AtLeast(0), Low, ReadOnly, SECURITY;
        "Wait before closing after a failed authentication.";
    "connections.max.reauth.ms": Long = Some("0"), Any, Medium, ReadOnly, SECURITY;
        "Longest life of a SASL session before it must authenticate again; 0 has no end.";
}
