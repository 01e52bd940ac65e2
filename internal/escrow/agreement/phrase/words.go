package phrase

import (
	"strings"

	"holdfast/internal/escrow"
)

// Word says one of the language's own words of a kind, such as the channel
// registered_letter. ok is false for a word that has no text; the test of
// this package proves that every word of the language has one.
func (l Lang) Word(kind, word string) (text string, ok bool) {
	for line := range strings.Lines(words(kind)) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		if len(parts) == 3 && parts[0] == word {
			return l.Pick(parts[1], parts[2]), true
		}
	}
	return word, false
}

// W is [Lang.Word] without the report.
func (l Lang) W(kind, word string) string {
	text, _ := l.Word(kind, word)
	return text
}

// Words says several words of a kind.
func (l Lang) Words(kind string, list []string) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = l.W(kind, w)
	}
	return out
}

// Role says what a party is in the arrangement, without an article.
func (l Lang) Role(r escrow.Role) string { return l.W("role", string(r)) }

// words is the catalogue: word | Dutch | English. Nouns have no article where
// the sentence supplies it.
func words(kind string) string {
	switch kind {
	case "role":
		return `supplier | leverancier | supplier
			ip_holder | rechthebbende | owner of the rights
			beneficiary | begunstigde | beneficiary
			host | hostingprovider | host
			server_manager | serverbeheerder | server manager
			operator | uitvoerder | operator
			foundation | continuïteitsstichting | continuity foundation
			agent | escrow-agent | escrow agent
			trustee | sleutelbewaarder | trustee
			arbiter | geschillenbeslechter | arbiter
			distributor | distributeur | distributor
			guarantor | garant | guarantor
			pledgee | pandhouder | pledgee
			auditor | auditor | auditor
			regulator | toezichthouder | regulator
			curator | curator | insolvency practitioner
			acquirer | verkrijger | acquirer`
	case "register":
		return `nl_kvk | KvK-nummer | Dutch trade register (KvK) no.
			gb_ch | nummer bij Companies House | company no.
			de_hrb | Handelsregister | Handelsregister
			us_de | nummer in Delaware | Delaware file no.
			be_kbo | KBO-nummer | Belgian enterprise (KBO) no.
			fr_siren | SIREN-nummer | SIREN no.
			eu_lei | LEI | LEI`
	case "delivery":
		return `saas_shared | als onlinedienst in een omgeving die de gebruikers delen | as an online service in an environment that its users share
			saas_single_tenant | als onlinedienst in een eigen omgeving per gebruiker | as an online service in a separate environment for each user
			on_premise | als programmatuur die bij de gebruiker zelf draait | as software that runs at its users
			hybrid | deels als onlinedienst en deels bij de gebruiker | partly as an online service and partly at its users`
	case "criticality":
		return `critical | kritiek | critical
			important | belangrijk | important
			minor | ondergeschikt | minor`
	case "takeover_of_connection":
		return `keep | blijft ongewijzigd | stays as it is
			transfer | wordt overgedragen | is transferred
			recontract | wordt opnieuw gecontracteerd | is contracted anew`
	case "module":
		return `repository | broncode | source code
			data | gegevens | data
			dossier | continuïteitsdossier | continuity dossier
			licence | licentiesleutels | licence keys
			images | installatiebestanden en images | installers and images
			cloud_account | toegang tot de cloudomgeving | access to the cloud account
			hosting_payment | betaling van de hosting | payment of the hosting
			standby | uitwijkomgeving | standby environment
			physical | fysieke zaken in bewaring | things in safe-keeping`
	case "via":
		return `restic | als reservekopie in restic-formaat | as a restic repository
			upload | door uploaden | by upload
			snapshot_share | als gedeelde momentopname | as a shared snapshot
			files | als bestanden | as files`
	case "trigger":
		return `webhook | elke wijziging bij de bron | every change at the source
			new_version | elke nieuwe versie | every new version`
	case "licence_holds":
		return `issuing_key | de sleutel waarmee licenties worden uitgegeven | the key with which licences are issued
			licence_server_image | een image van de licentieserver | an image of the licence server
			activation_rules | de activeringsregels | the activation rules
			customer_register | het klantenregister | the register of customers
			presigned_continuity_licence | een vooraf ondertekende continuïteitslicentie | a continuity licence signed in advance`
	case "versions":
		return `latest | de laatste versie | the latest version
			deployed_by_any_beneficiary | elke versie die bij een begunstigde in gebruik is | every version in use at a beneficiary
			supported | elke ondersteunde versie | every supported version
			all | alle versies | all versions`
	case "seats_as_of":
		return `last_usage_snapshot | de laatste gebruiksopgave | the last usage statement
			licence | de licentie | the licence`
	case "features":
		return `as_entitled | de functies waarop de licentie recht geeft | the features the licence entitles to
			all | alle functies | all features`
	case "dictionary":
		return `required | een beschrijving van de gegevensvelden is verplicht | a description of the data fields is required
			optional | een beschrijving van de gegevensvelden is niet verplicht | a description of the data fields is optional`
	case "cut_over":
		return `dns | DNS | DNS
			certificates | certificaten | certificates
			mail | e-mail | email
			user_rights | gebruikersrechten | user rights`
	case "pledge":
		return `ip_rights | de intellectuele-eigendomsrechten | the intellectual property rights
			receivables | de vorderingen | the receivables
			shares | de aandelen | the shares
			equipment | de bedrijfsmiddelen | the equipment
			bank_accounts | de banksaldi | the bank balances`
	case "may":
		return `claim | een beroep op vrijgave doen | claim a release
			contest | een vrijgave betwisten | contest a release
			approve | een vrijgave goedkeuren | approve a release
			sign | ondertekenen | sign
			vote | stemmen | vote
			deposit | deponeren | deposit
			pay | betalen | pay
			receive | materiaal in ontvangst nemen | receive material`
	case "part_kind":
		return `frame | Raamovereenkomst | Framework agreement
			host | Hostingverklaring | Host's undertaking
			accession | Toetredingsovereenkomst | Accession agreement
			sla | Dienstenniveauovereenkomst | Service level agreement
			processing | Verwerkersovereenkomst | Data processing agreement
			annex | Bijlage | Annex
			supplement | Aanvullende overeenkomst | Supplementary agreement`
	case "form":
		return `plain | onderhandse akte | signature under hand
			deed | akte naar Engels recht (deed) | deed
			notarial | notariële akte | notarial deed`
	case "with":
		return `passkey | een toegangssleutel (passkey) | a passkey
			ssh | een SSH-sleutel | an SSH key
			advanced | een geavanceerde elektronische handtekening | an advanced electronic signature
			qualified | een gekwalificeerde elektronische handtekening | a qualified electronic signature
			ink | een handtekening op papier | a signature on paper`
	case "right":
		return `own_contract | eigen overeenkomst | own contract
			host_undertaking | toezegging van de hostingprovider | undertaking of the host
			licence_from_ip_holder | licentie van de rechthebbende | licence from the owner of the rights
			conditional_transfer | overdracht onder opschortende voorwaarde | conditional transfer
			statute | de wet | statute
			consent_of_receiver | toestemming van de curator | consent of the insolvency practitioner
			mandate | volmacht | mandate`
	case "on_insolvency":
		return `survives | blijft in stand | survives
			doubtful | is twijfelachtig | is doubtful
			ends | eindigt | ends`
	case "secured_by":
		return `conditional_transfer | een overdracht onder opschortende voorwaarde | a conditional transfer
			pledge | een pandrecht | a pledge
			usufruct | een recht van vruchtgebruik | a usufruct
			third_party_clause | een derdenbeding | a third-party clause
			guarantee | een garantie | a guarantee`
	case "account_takeover":
		return `break_glass_role | een noodrol | a break-glass role
			organisation_move | verplaatsing van het account naar een andere organisatie | a move of the account to another organisation
			billing_transfer | overname van de facturering | a transfer of the billing
			root_mailbox | het postvak van de hoofdgebruiker | the root mailbox`
	case "inspect":
		return `records | de administratie | the records
			verification_reports | de verificatierapporten | the verification reports
			premises | de bedrijfsruimten | the premises
			systems | de systemen | the systems
			people | de betrokken medewerkers | the people concerned`
	case "exit_kind":
		return `stressed | noodscenario | stressed exit
			non_stressed | geplande uittreding | planned exit`
	case "licence_type":
		return `perpetual | eeuwigdurend | perpetual
			subscription | abonnement | subscription`
	case "metric":
		return `named_user | gebruikers op naam | named users
			concurrent_peak | gelijktijdige gebruikers (piek) | concurrent users (peak)
			device | apparaten | devices
			site | locaties | sites
			core | processorkernen | processor cores`
	case "activation":
		return `none | zonder activering | without activation
			offline | zonder verbinding | offline
			online | via een activeringsserver | through an activation server
			floating | met zwevende licenties | with floating licences`
	case "fingerprint":
		return `mac | het netwerkadres | the network address
			disk | de schijf | the disk
			cpu | de processor | the processor
			board | het moederbord | the main board
			hostname | de naam van de machine | the host name
			dongle | een dongle | a dongle`
	case "match":
		return `any | één daarvan | any one of them
			two | twee daarvan | two of them
			most | de meeste daarvan | most of them
			all | al deze kenmerken | all of them`
	case "activation_transfer":
		return `keep | behoudt zij haar einddatum | it keeps its expiry date
			reset | begint haar looptijd opnieuw | its term starts again`
	case "entitles":
		return `updates | nieuwe versies | updates
			support | ondersteuning | support
			keys_for_new_host | sleutels voor een nieuwe machine | keys for a new host`
	case "licence_formats":
		return `keygen_file | keygen-bestand | keygen file
			flexnet | FlexNet | FlexNet
			own | een eigen formaat van de leverancier | the supplier's own format`
	case "requires":
		return `use_terms | de gebruiksvoorwaarden zijn aanvaard | the terms of use have been accepted
			confidentiality | een geheimhoudingsverklaring is ondertekend | a confidentiality undertaking has been signed
			processing_terms | een verwerkersovereenkomst is gesloten | a data processing agreement is in place
			fees_paid | de verschuldigde vergoedingen zijn betaald | the fees due have been paid
			recipient_screened | de ontvanger is gescreend op exportbeperkingen | the recipient has been screened for export restrictions`
	case "evidence":
		return `public_register | een inschrijving in een openbaar register | an entry in a public register
			public_notice | een openbare bekendmaking | a public notice
			judgement | een rechterlijke uitspraak | a judgment of a court
			judgement_copy | een afschrift van de uitspraak | a copy of the judgment
			measured | een meting volgens deze overeenkomst | a measurement under this agreement
			written_statement | een schriftelijke verklaring | a written statement
			regulator_direction | een aanwijzing van een toezichthouder | a direction of a regulator`
	case "channel":
		return `registered_letter | aangetekende brief | registered letter
			letter | brief | letter
			email | e-mail | email
			phone | telefoon | telephone
			portal | het portaal | the portal
			chat | chat | chat
			bailiff | deurwaardersexploot | service by a bailiff`
	case "majority":
		return `simple | een gewone meerderheid | a simple majority
			two_thirds | een meerderheid van twee derde | a majority of two thirds
			unanimous | unanimiteit | a unanimous vote`
	case "on_silence":
		return `keep_running | de dienst wordt intussen in stand gehouden en er wordt geen materiaal afgegeven | the service is kept running meanwhile and no material is handed over
			refuse | de vrijgave blijft achterwege | the release is refused
			release | de vrijgave gaat door | the release goes ahead`
	case "return_cost":
		return `claimant | de partij die de vrijgave inriep | the party that claimed the release
			supplier | de leverancier | the supplier
			claimant_if_false_alarm | de partij die de vrijgave inriep, als achteraf blijkt dat daarvoor geen grond bestond, en anders de leverancier | the party that claimed the release if there turns out to have been no ground for it, and otherwise the supplier
			each_its_own | elke partij voor zover het haar eigen kosten betreft | each party for its own costs`
	case "uptime_period":
		return `calendar_month | kalendermaand | calendar month
			calendar_quarter | kalenderkwartaal | calendar quarter
			billing_cycle | factureringsperiode | billing cycle
			rolling_30d | voortschrijdende periode van dertig dagen | rolling period of thirty days
			rolling | voortschrijdende periode | rolling period
			service_year | contractjaar | service year`
	case "measure":
		return `time | de tijd waarin de dienst onbeschikbaar was, tot op de seconde | the time during which the service was down, to the second
			error_rate | het gemiddelde foutpercentage per meetinterval | the mean error rate per measuring interval
			error_minutes | de minuten waarin het foutpercentage boven de drempel lag | the minutes in which the error rate was above the threshold
			executions | het aandeel mislukte uitvoeringen | the share of failed executions`
	case "empty_interval":
		return `counts_as_up | telt als beschikbaar | counts as available
			left_out | blijft buiten beschouwing | is left out`
	case "partial_minutes":
		return `count | tellen als hele minuut mee | count as whole minutes
			drop | tellen niet mee | do not count`
	case "gaps":
		return `left_out | blijft buiten de berekening | is left out of the calculation
			count_as_up | telt als beschikbaar | counts as available
			count_as_down | telt als onbeschikbaar | counts as unavailable`
	case "denominator":
		return `whole_period | de hele meetperiode | the whole period
			without_exclusions | de meetperiode zonder de uitgezonderde tijd | the period without the excluded time`
	case "rounding":
		return `none | niet afgerond | not rounded
			half_up_0 | rekenkundig afgerond op hele procenten | rounded half up to whole percents
			half_up_1 | rekenkundig afgerond op één decimaal | rounded half up to one decimal
			half_up_2 | rekenkundig afgerond op twee decimalen | rounded half up to two decimals
			half_up_3 | rekenkundig afgerond op drie decimalen | rounded half up to three decimals
			half_up_4 | rekenkundig afgerond op vier decimalen | rounded half up to four decimals
			truncate_0 | afgekapt op hele procenten | truncated to whole percents
			truncate_1 | afgekapt op één decimaal | truncated to one decimal
			truncate_2 | afgekapt op twee decimalen | truncated to two decimals
			truncate_3 | afgekapt op drie decimalen | truncated to three decimals
			truncate_4 | afgekapt op vier decimalen | truncated to four decimals`
	case "at_most_in":
		return `period | meetperiode | period
			calendar_month | kalendermaand | calendar month
			calendar_quarter | kalenderkwartaal | calendar quarter
			calendar_year | kalenderjaar | calendar year`
	case "redirects":
		return `followed | wordt gevolgd | is followed
			failed | geldt als mislukt | counts as failed`
	case "cap_of":
		return `base | de grondslag | the base
			invoice | de factuur waarmee zij wordt verrekend | the invoice it is set against`
	case "claim_from":
		return `period_end | afloop van de meetperiode | the end of the period
			incident_end | het einde van de eerste meetellende onderbreking | the end of the first outage that counts`
	case "sla_remedy":
		return `refund | terugbetaling | a refund
			extension | verlenging zonder kosten | an extension free of charge
			upgrade | een hoger dienstenniveau zonder kosten | a higher level of service free of charge
			extra_support | extra ondersteuning zonder kosten | extra support free of charge
			improvement_plan | een verbeterplan van de leverancier | an improvement plan by the supplier
			termination | ontbinding van de overeenkomst met de leverancier zonder vergoeding | termination of the contract with the supplier without compensation`
	case "sla_holidays":
		return `closed | vallen buiten | are outside
			open | vallen binnen | are inside`
	case "exclusion":
		return `planned_maintenance | aangekondigd onderhoud | planned maintenance
			emergency_maintenance | spoedonderhoud | emergency maintenance
			force_majeure | overmacht | force majeure
			customer_fault | een oorzaak die voor rekening van de afnemer komt | a cause for which the customer answers
			third_party | een oorzaak bij derden buiten de invloed van de leverancier | a cause at third parties beyond the supplier's control
			beta | functies die als proefversie zijn aangeduid | features marked as beta
			misuse | oneigenlijk gebruik | misuse
			single_host | uitval van een enkele host waarvoor een andere beschikbaar bleef | failure of a single host beside which another stayed available`
	case "probe_quorum":
		return `any | ten minste één meetlocatie | at least one location
			majority | de meerderheid van de meetlocaties | a majority of the locations
			all | alle meetlocaties | all locations`
	case "remedy":
		return `credit | een korting op de eerstvolgende factuur | a credit against the next invoice
			refund | terugbetaling | a refund
			credit_or_refund | naar keuze van de afnemer een korting op de eerstvolgende factuur of terugbetaling | at the customer's choice a credit against the next invoice or a refund`
	case "credit_share":
		return `affected_service | het gedeelte van de vergoeding dat op de getroffen dienst betrekking heeft | the part of the fee that relates to the affected service
			affected_component | het gedeelte van de vergoeding dat op het getroffen onderdeel betrekking heeft | the part of the fee that relates to the affected component
			whole_fee | de volledige vergoeding | the whole fee`
	case "clock":
		return `support_hours | tijdens de ondersteuningsuren | during support hours
			24x7 | dag en nacht | day and night`
	case "fees_during":
		return `to_foundation_with_curator_consent | met toestemming van de curator aan de stichting | with the insolvency practitioner's consent to the foundation
			to_curator | aan de curator | to the insolvency practitioner
			to_escrow | op een derdenrekening | into an escrow account
			to_operator | aan de uitvoerder | to the operator`
	case "allows":
		return `use | gebruiken | use
			maintain | onderhouden | maintain
			host | hosten | host
			move_host | naar een andere machine verplaatsen | move to another host
			modify | wijzigen | modify
			build | bouwen | build`
	case "use_ends":
		return `successor_assumes | een opvolger de overeenkomst overneemt | a successor assumes the agreement
			cured | het gebrek is hersteld | the default has been cured
			migrated | de overstap naar een andere oplossing is voltooid | the migration to another solution is complete
			licence_ends | de licentie eindigt | the licence ends`
	case "pays_to":
		return `curator_or_assignee | de curator of degene die de rechten heeft verkregen | the insolvency practitioner or whoever has acquired the rights
			ip_holder | de rechthebbende | the owner of the rights
			supplier | de leverancier | the supplier`
	case "pays_amount":
		return `as_before | de tot dan toe verschuldigde vergoeding | the fee that was due until then
			maintenance_part | het onderhoudsgedeelte van de vergoeding | the maintenance part of the fee
			nothing | geen vergoeding | no fee`
	case "pays_else":
		return `into_escrow | wordt zij op een derdenrekening gestort | it is paid into an escrow account
			to_fund | wordt zij in het continuïteitsfonds gestort | it is paid into the continuity fund
			nothing | is zij niet verschuldigd | it is not due`
	case "insurance":
		return `errors_and_omissions | beroepsaansprakelijkheid (errors and omissions) | errors and omissions
			professional_indemnity | beroepsaansprakelijkheid | professional indemnity
			cyber | cyberrisico's | cyber risks
			public_liability | algemene aansprakelijkheid | public liability`
	case "merger":
		return `assumes | neemt de rechtsopvolger deze overeenkomst over | its successor assumes this agreement
			new_agreement | wordt met de rechtsopvolger een nieuwe overeenkomst gesloten | a new agreement is concluded with its successor
			terminates | eindigt deze overeenkomst | this agreement ends`
	case "level":
		return `1 | de gedeponeerde bestanden zijn ongeschonden en leesbaar | the deposited files are intact and readable
			2 | de inhoud is volledig en is wat hij zegt te zijn | the content is complete and what it claims to be
			3 | uit het depot kan de programmatuur worden gebouwd of de gegevensverzameling worden hersteld | the software can be built, or the data restored, from the deposit
			4 | met het depot kan de dienst worden opgestart en gebruikt | the service can be started and used from the deposit`
	}
	return moreWords(kind)
}
