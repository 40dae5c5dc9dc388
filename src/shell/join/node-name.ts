// Names of nodes and clusters, and nodeids, as Proxmox allows them (pvecm.md §1.0).

export const nodeNamePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/;
/** Of a DNS label; Proxmox states no limit of its own. */
export const nodeNameMax = 63;
