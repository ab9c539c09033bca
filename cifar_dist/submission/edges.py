"""The chart's values of what surrounds the pods: network, monitoring and ways in."""

from typing import Annotated

from pydantic import Field

from cifar_dist.submission.sections import (
    Address,
    Annotations,
    Auto,
    Cidr,
    Free,
    Labels,
    Many,
    Name,
    Port,
    Section,
    Text,
)


class StoreEgress(Section):
    """One place of the S3 server: addresses, or a namespace of the cluster."""

    cidr: Annotated[str, Field(pattern=r"^$|^[0-9a-fA-F.:]{2,39}/[0-9]{1,3}$")] = ""
    """Addresses."""
    excepted: list[Cidr] = Field(default_factory=list, alias="except")
    """Addresses among them that are never reached; a cloud's metadata is always one."""
    namespace: Name = ""
    """Namespace of a server in the cluster, in place of addresses."""
    pod_labels: Labels = Field(default_factory=dict)
    """Labels of the server's pods."""
    port: Port = 443
    """Port of the server."""


class Egress(Section):
    """Where pods may connect to, besides each other."""

    dns: bool = True
    """Whether pods may ask the cluster's DNS."""
    s3: list[StoreEgress] = Many
    """Where the S3 server is: {cidr, except, port} or {namespace, podLabels, port}; empty: as
    store.endpoint says (public addresses, if its name is none of the cluster: name a private one
    here), and any public address at 443 without it."""
    api_server: list[Cidr] = Many
    """Addresses of the API server, which only an autoscaling head asks; empty: private ones."""
    pod_identity: bool = False
    """Whether pods may ask Amazon's Pod Identity agent at 169.254.170.23."""
    extra: list[Free] = Many
    """More rules of head, workers, bootstrap and helm test, as a NetworkPolicy writes them."""


class NetworkPolicy(Section):
    """Who may talk to whom; anything else is denied."""

    enabled: bool = True
    """Whether policies are made; they need a network plugin that enforces them."""
    operator_namespace: Name = "kuberay-system"
    """Namespace of the KubeRay operator, which asks the head at 8265."""
    monitoring_namespace: Name = "monitoring"
    """Namespace of Prometheus, which asks for metrics."""
    dashboard_namespace: Name = ""
    """Namespace of a gateway or proxy that shows Ray's dashboard to people; empty: nobody's."""
    egress: Egress = Egress()


class PodMonitor(Section):
    """A PodMonitor for Prometheus."""

    enabled: Auto = "auto"
    """auto makes it where the cluster knows the kind."""
    labels: Labels = Field(default_factory=dict)
    """Labels that Prometheus selects by, such as release: prometheus."""
    interval: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(s|m)$")] = "30s"
    """Time between two scrapes."""


class Rules(Section):
    """Recording and alert rules."""

    enabled: Auto = "auto"
    """auto makes them where the cluster knows the kind."""
    labels: Labels = Field(default_factory=dict)
    """Labels that Prometheus selects by."""


class Dashboards(Section):
    """Grafana dashboards as ConfigMaps."""

    enabled: bool = True
    """Whether they are made."""
    label: Annotated[str, Field(max_length=63)] = "grafana_dashboard"
    """Label, set to "1", that Grafana's sidecar selects by."""
    folder: Text = "cifar-dist"
    """Folder in Grafana."""


class Grafana(Section):
    """The Grafana that Ray's dashboard shows."""

    host: Address = ""
    """Its address as the head sees it."""
    iframe_host: Address = ""
    """Its address as the browser sees it."""


class Prometheus(Section):
    """The Prometheus that Ray's dashboard asks."""

    host: Address = ""
    """Its address as the head sees it."""
    name: Text = "Prometheus"
    """Name of Grafana's data source."""


class Monitoring(Section):
    """Eyes on it."""

    pod_monitor: PodMonitor = PodMonitor()
    rules: Rules = Rules()
    dashboards: Dashboards = Dashboards()
    grafana: Grafana = Grafana()
    prometheus: Prometheus = Prometheus()


class HttpRoute(Section):
    """A Gateway API route to Ray's dashboard of mode=cluster."""

    enabled: bool = False
    """Whether it is made; refused without ray.auth.mode=token."""
    parent_refs: list[Free] = Many
    """Gateways, as an HTTPRoute writes them."""
    hostnames: list[Name] = Many
    """Host names."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the route."""


class Ingress(Section):
    """An Ingress to Ray's dashboard of mode=cluster."""

    enabled: bool = False
    """Whether it is made; refused without ray.auth.mode=token."""
    class_name: Name = ""
    """IngressClass."""
    host: Name = ""
    """Host name."""
    tls_secret: Name = ""
    """Secret with the certificate."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the Ingress."""


class Exposure(Section):
    """Ways in from outside; none unless asked for."""

    http_route: HttpRoute = HttpRoute()
    ingress: Ingress = Ingress()
