//! What goes beside the driver says what Windows and existing installations go by, and nothing in it leads nowhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

fn packaged(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Sections of an INF file, with their lines: key, then values.
struct Inf(BTreeMap<String, Vec<(String, Vec<String>)>>);

impl Inf {
    fn parse(text: &str) -> Self {
        let (mut sections, mut section) = (BTreeMap::new(), String::new());
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.to_owned();
                let twice = sections.insert(section.clone(), Vec::new());
                assert!(twice.is_none(), "[{name}] is there twice");
                continue;
            }
            let (key, values) = line.split_once('=').unwrap_or(("", line));
            let values = values.split(',').map(|value| value.trim().to_owned());
            let lines = sections.get_mut(&section).expect("a line is in a section");
            lines.push((key.trim().to_owned(), values.collect()));
        }
        Self(sections)
    }

    fn lines(&self, section: &str) -> &[(String, Vec<String>)] {
        self.0
            .get(section)
            .unwrap_or_else(|| panic!("there is no [{section}]"))
    }

    fn value(&self, section: &str, key: &str) -> String {
        let found = self.lines(section).iter().find(|(name, _)| name == key);
        let (_, values) = found.unwrap_or_else(|| panic!("[{section}] has no {key}"));
        values.join(",").trim_matches('"').to_owned()
    }

    /// What a line that adds to the registry sets.
    fn registry(&self, section: &str, key: &str, name: &str) -> String {
        let found = self.lines(section).iter().find_map(|(_, values)| {
            let [_, at, named, _, value @ ..] = values.as_slice() else {
                return None;
            };
            (at == key && named == name).then(|| value.join(", "))
        });
        let value = found.unwrap_or_else(|| panic!("[{section}] does not set {key}\\{name}"));
        value.trim_matches('"').to_owned()
    }
}

#[test]
fn the_inf_file_says_what_windows_and_installations_go_by() {
    let inf = Inf::parse(&packaged("xdp.inf"));
    for (section, key, value) in [
        ("Version", "Class", "NetService"),
        (
            "Version",
            "ClassGuid",
            "{4D36E974-E325-11CE-BFC1-08002BE10318}",
        ),
        ("Version", "CatalogFile", "xdp.cat"),
        ("Install", "Characteristics", "0x40000"),
        (
            "Install",
            "NetCfgInstanceId",
            "{c0be1ebc-74b8-4ba9-8c1e-ecd227e2be3b}",
        ),
        ("InstallPa", "Characteristics", "0x40000"),
        (
            "InstallPa",
            "NetCfgInstanceId",
            "{c0be1ebc-74b8-4ba9-8c1e-ecd227e2be3b}",
        ),
        ("Service", "ServiceType", "1"),
        ("Service", "StartType", "1"),
        ("Service", "ErrorControl", "1"),
        ("Service", "LoadOrderGroup", "NDIS"),
        ("Service", "ServiceBinary", "%12%\\xdp.sys"),
        ("DestinationDirs", "DriverFiles", "12"),
    ] {
        assert_eq!(inf.value(section, key), value, "[{section}] {key}");
    }
    for (section, key, name, value) in [
        ("Filter", "Ndi", "Service", "xdp"),
        ("Filter", "Ndi", "FilterType", "2"),
        ("Filter", "Ndi", "FilterRunType", "2"),
        ("Filter", "Ndi\\Interfaces", "UpperRange", "noupper"),
        ("Filter", "Ndi\\Interfaces", "LowerRange", "ndisvf"),
        (
            "Filter",
            "Ndi\\Interfaces",
            "FilterMediaTypes",
            "ethernet, ndisvf",
        ),
        ("ClassCustom", "Ndi", "FilterClass", "custom"),
        (
            "ClassProviderAddress",
            "Ndi",
            "FilterClass",
            "provider_address",
        ),
        ("Parameters", "Parameters", "VerboseOn", "0"),
        ("Parameters", "Parameters", "LogPages", "1"),
        ("Events", "%Publisher%\\ChannelReferences\\0", "Id", "0x10"),
        ("Events", "%Channel%", "Enabled", "0"),
        ("Events", "%Channel%", "Type", "2"),
        ("Events", "%Channel%", "Isolation", "1"),
    ] {
        assert_eq!(
            inf.registry(section, key, name),
            value,
            "[{section}] {key}\\{name}"
        );
    }
    let version = inf.value("Version", "DriverVer");
    let ours = format!("{}.0", env!("CARGO_PKG_VERSION"));
    assert!(
        version.ends_with(&format!(",{ours}")),
        "{version}, not {ours}"
    );
    let provider = packaged("xdp-events.man");
    assert!(provider.contains("{580bbdea-b364-4369-b291-d3539e35d20b}"));
}

#[test]
fn everything_that_the_inf_file_refers_to_is_in_it() {
    let inf = Inf::parse(&packaged("xdp.inf"));
    for platform in ["NTamd64.10.0...17763", "NTarm64.10.0...17763"] {
        let components: Vec<&str> = inf
            .lines(&format!("Components.{platform}"))
            .iter()
            .map(|(_, values)| {
                inf.lines(&values[0]);
                inf.lines(&format!("{}.Services", values[0]));
                values[1].as_str()
            })
            .collect();
        assert_eq!(components, ["ms_xdp", "ms_xdp_pa"], "{platform}");
        let named = inf.value("Manufacturer", "%Provider%");
        assert!(named.contains(platform), "{named}");
    }
    for section in ["Install", "InstallPa", "Service"] {
        for (key, values) in inf.lines(section) {
            if ["AddReg", "CopyFiles"].contains(&key.as_str()) {
                for to in values {
                    inf.lines(to);
                }
            }
        }
    }
    for (_, files) in inf.lines("DriverFiles") {
        inf.value("SourceDisksFiles", &files[0]);
        inf.value("DestinationDirs", "DriverFiles");
    }
    // Every %name% is a string, but for the numbers of folders and what is left to the registry.
    let text = packaged("xdp.inf").replace("%%", "");
    for line in text.lines().filter(|line| !line.starts_with(';')) {
        for name in line.split('%').skip(1).step_by(2) {
            if name.parse::<u32>().is_err() {
                inf.value("Strings", name);
            }
        }
    }
}

/// Scripts that call it keep working: its parameters, components, and that failures have exit code 1.
#[test]
fn the_setup_script_has_the_options_that_scripts_know() {
    let script = packaged("xdp-setup.ps1");
    for parameter in [
        "[string]$Install",
        "[string]$Uninstall",
        "[string]$BinaryDirectory = $PSScriptRoot",
        "[switch]$Force",
    ] {
        assert!(script.contains(parameter), "{parameter}");
    }
    let components = "[ValidateSet(\"\", \"xdp\", \"xdppa\", \"xdpebpf\", \"xdpebpfexport\")]";
    assert_eq!(script.matches(components).count(), 2);
    for what in [
        "ms_xdp\"",
        "ms_xdp_pa\"",
        "netcfg.exe",
        "lodctr.exe",
        "unlodctr.exe",
        "pnputil.exe",
        "exit 1",
    ] {
        assert!(script.contains(what), "{what}");
    }
    // Every file that it asks for is in the package or built for it.
    for name in script
        .split("Get-PackageFile \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        let built = ["xdp.sys", "xdp.cat"].contains(&name);
        assert!(built || !packaged(name).is_empty(), "{name}");
    }
    // Brackets that do not match would show only on Windows.
    let mut depth = 0_i32;
    for character in script.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        assert!(depth >= 0, "a bracket closes that did not open");
    }
    assert_eq!(depth, 0, "a bracket stays open");
}
