/// The BPF links of the host by their number, which the kernel never gives out twice.
pub(super) fn read() -> Result<Vec<String>, String> {
    crate::kernel::bpf::links()
        .map(|links| links.into_iter().map(|number| format!("link {number}")).collect())
        .map_err(|error| format!("bpf: {error}"))
}
