/// The tables of legacy iptables, ip6tables and arptables that exist in this thread's namespace.
pub(super) fn read() -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for list in ["ip_tables_names", "ip6_tables_names", "arp_tables_names"] {
        let path = format!("/proc/thread-self/net/{list}");
        match std::fs::read_to_string(&path) {
            Ok(text) => lines.extend(text.lines().map(|table| format!("{list} {table}"))),
            // The module is not loaded: there are no such tables.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Ok(lines)
}
